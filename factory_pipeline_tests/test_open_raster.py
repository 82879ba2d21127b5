"""Rasters without a georeference are opened whatever the process does with warnings."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from factory_pipeline.open_raster import open_in_memory, open_raster

PROFILE = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "uint8"}


@pytest.mark.filterwarnings("error")
def test_an_image_without_georeference_is_no_reason_for_a_warning(tmp_path: Path) -> None:
    before = list(warnings.filters)
    with open_raster(tmp_path / "a.tif", "w", **PROFILE) as out:
        out.write(np.ones((1, 2, 2), np.uint8))
    with open_raster(tmp_path / "a.tif") as source:
        assert source.read().all()
    with MemoryFile() as memory:
        with open_in_memory(memory, **PROFILE) as out:
            out.write(np.ones((1, 2, 2), np.uint8))
        with open_in_memory(memory) as source:
            assert source.read().all()
    assert warnings.filters == before
    with pytest.raises(NotGeoreferencedWarning):
        rasterio.open(tmp_path / "a.tif")


OPEN = """
import sys
from factory_pipeline.errors import InstallationError
from factory_pipeline.open_raster import open_raster
try:
    open_raster(sys.argv[1]).close()
    print("opened")
except InstallationError as error:
    print(error)
"""


@pytest.mark.integration
@pytest.mark.parametrize("variable", ["PROJ_LIB", "PROJ_DATA"])
def test_coordinate_systems_of_other_software_are_refused(variable: str, tmp_path: Path) -> None:
    with open_raster(tmp_path / "a.tif", "w", **PROFILE) as out:
        out.write(np.ones((1, 2, 2), np.uint8))
    done = subprocess.run(
        [sys.executable, "-c", OPEN, tmp_path / "a.tif"],
        env={**os.environ, variable: str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith(f"{variable}={tmp_path} belongs to other software; unset it.\n"), done.stderr
