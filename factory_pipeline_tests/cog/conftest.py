"""A product of one scene, for all tests of readers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid
from factory_pipeline_tests.cog.rasters import band, write


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[str, NDArray[np.uint16], Grid]]:
    """A band of each pixel size; those of 10 and 20 m with 15 bits, as Planetary Computer keeps them."""
    folder = tmp_path_factory.mktemp("product")
    bands = {}
    for metres, options in {10: {"nbits": 15}, 20: {"nbits": 15}, 60: {}}.items():
        values, grid = band(metres, seed=metres)
        bands[metres] = write(folder / f"{metres}.tif", values, grid, **options), values, grid
    return bands
