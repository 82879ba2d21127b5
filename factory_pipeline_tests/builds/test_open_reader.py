"""The reader of a catalog's rasters."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from factory_pipeline.builds.open_reader import open_reader
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, Resampling, WindowRead
from factory_pipeline.stac.providers import EARTH_SEARCH, PLANETARY_COMPUTER, Catalog

GRID = Grid(32633, 500_000, 5_000_000, 10, 10, 64, 64)


def write(path: Path, **profile: object) -> str:
    values = np.arange(64 * 64, dtype=np.uint16).reshape(1, 64, 64)
    options = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint16", **profile}
    with rasterio.open(path, "w", crs="EPSG:32633", transform=GRID.transform, **options) as out:
        out.write(values)
    return str(path)


def test_addresses_pass_through_the_signer_if_any_source_has_one() -> None:
    sources = {name: replace(source, signer=None) for name, source in EARTH_SEARCH.sources.items()}
    signed, unsigned = Catalog(PLANETARY_COMPUTER), Catalog(replace(EARTH_SEARCH, sources=sources))
    assert (signed.signs, unsigned.signs) == (True, False)
    assert open_reader(signed, 1 << 20)._source._sign == signed.signer
    assert open_reader(unsigned, 1 << 20)._source._sign is None


@pytest.mark.parametrize(
    ("name", "profile"),
    [("tiled.tif", {"tiled": True, "blockxsize": 16, "blockysize": 16}), ("other.img", {"driver": "HFA"})],
)
def test_geotiffs_and_what_only_gdal_reads_are_read(
    tmp_path: Path, name: str, profile: dict[str, object]
) -> None:
    reader = open_reader(Catalog(EARTH_SEARCH), 1 << 20)
    reads = [
        WindowRead((write(tmp_path / name, **profile),), GRID.window(10, 20, 2, 3), Resampling.NEAREST),
        WindowRead((str(tmp_path / "missing.tif"),), GRID, Resampling.NEAREST),
    ]
    found, missing = reader.read(reads)
    assert isinstance(found, ReadWindow)
    assert found.values.tolist() == [[660, 661, 662], [724, 725, 726]]
    assert found.valid.all()
    assert isinstance(missing, ReadFailure)
    assert "missing.tif" in missing.reason
