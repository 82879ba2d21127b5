"""Where the pixels of a raster are, and which of the cut ones hold data."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from rasterio.crs import CRS

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.warp_raster import Cut, WarpRaster, edge_centres, same_pixel_size

GRID = Grid(32633, 500_000, 5_200_000, 10, 10, 60, 50)
RASTER = WarpRaster(CRS.from_epsg(32633), GRID, 0.0)


def test_grids_that_share_their_pixels_have_an_offset() -> None:
    assert RASTER.offset_of(GRID.window(-3, 7, 5, 5)) == (-3, 7)
    assert RASTER.offset_of(replace(GRID, left=GRID.left + 4)) is None
    assert RASTER.offset_of(replace(GRID, epsg=32632)) is None
    assert RASTER.offset_of(replace(GRID, x_size=20, y_size=20)) is None
    assert same_pixel_size(GRID, replace(GRID, left=0))
    turned = WarpRaster(CRS.from_epsg(4326), Grid(4326, -180, 1, 0.1, 0.1, 10, 10), None)
    assert turned.turn == 3600
    assert turned.offset_of(Grid(4326, 180, 1, 0.1, 0.1, 5, 5)) == (0, 0), "once around the earth"
    earth = WarpRaster(CRS.from_epsg(4326), Grid(4326, -180, 90, 1, 1, 360, 180), None)
    assert earth.offset_of(Grid(4326, 100, 50, 1, 1, 8, 8)) == (40, 280)


def test_the_outermost_pixels_are_each_there_once() -> None:
    x, y = edge_centres(Grid(32633, 0, 0, 10, 10, 4, 3))
    points = set(zip(x.tolist(), y.tolist(), strict=True))
    assert len(points) == len(x) == 2 * 4 + 2 * 1
    assert points >= {(5, -5), (35, -5), (5, -25), (35, -25)}
    assert (15, -15) not in points


@pytest.mark.parametrize("mask", [None, np.array([[True, False], [True, True]])])
def test_pixels_without_data_are_those_of_the_value_the_mask_and_no_number(
    mask: NDArray[np.bool_] | None,
) -> None:
    values = np.array([[1.0, 2.0], [-9.0, np.nan]], np.float32)
    cut = Cut(replace(RASTER, nodata=-9.0), 0, 0, values, mask)
    expected = np.array([[True, mask is None], [False, False]])
    np.testing.assert_array_equal(cut.valid, expected)
