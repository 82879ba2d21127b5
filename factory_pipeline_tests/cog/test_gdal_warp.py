"""Windows from parts of rasters are what GDAL's warp of the whole raster gives."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from factory_pipeline.cog.gdal_warp import by_pixel_grid, mosaic, window_of
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import Resampling
from factory_pipeline.cog.warp_raster import Cut, WarpRaster
from factory_pipeline_tests.cog.oracle import warped

GRID = Grid(32633, 500_000, 5_200_000, 10, 10, 60, 50)
VALUES = np.random.default_rng(0).integers(1, 900, GRID.shape).astype(np.uint16)
RASTER = WarpRaster(CRS.from_epsg(32633), GRID, 0.0)


def cut_for(window: Grid, raster: WarpRaster = RASTER, values: NDArray[np.uint16] = VALUES) -> Cut:
    """The part of a raster that a window needs."""
    [reach] = raster.reaches([window])
    part = raster.source_part(window, reach)
    if part is None:
        return Cut(raster, 0, 0, np.zeros((0, 0), values.dtype))
    row, column, rows, columns = part
    return Cut(raster, row, column, values[row : row + rows, column : column + columns])


@given(
    st.integers(-8, 55),
    st.integers(-8, 55),
    st.sampled_from([0, 3.3, 5]),
    st.sampled_from([10, 7]),
    st.sampled_from(Resampling),
)
def test_a_part_of_a_raster_is_enough(
    row: int, column: int, shift: float, pixel: float, resampling: Resampling
) -> None:
    corner = GRID.window(row, column, 8, 8)
    window = Grid(GRID.epsg, corner.left + shift, corner.top - shift, pixel, pixel, 8, 8)
    got = window_of([cut_for(window)], window, resampling)
    expected = warped(VALUES, GRID, window, resampling)
    np.testing.assert_array_equal(got.valid, expected.valid)
    # A value that lies just between two counts may be rounded to either.
    assert np.abs(got.values.astype(int) - expected.values.astype(int)).max() <= (shift != 0 or pixel != 10)


def test_a_window_elsewhere_needs_nothing() -> None:
    assert not cut_for(GRID.window(500, 0, 4, 4)).values.size
    assert not window_of(
        [cut_for(GRID.window(500, 0, 4, 4))], GRID.window(500, 0, 4, 4), Resampling.NEAREST
    ).valid.any()


def test_tiles_of_one_grid_are_one_mosaic_and_the_first_with_data_wins() -> None:
    east = WarpRaster(RASTER.crs, GRID.window(0, 50, 50, 60), 0.0)
    shifted = WarpRaster(RASTER.crs, replace(GRID, left=GRID.left + 3), 0.0)
    values = np.full((50, 60), 7, np.uint16)
    holes = VALUES.copy()
    holes[:, 55:] = 0
    cuts = [Cut(RASTER, 0, 0, holes), Cut(shifted, 0, 0, values), Cut(east, 0, 0, values)]
    together, alone = by_pixel_grid(cuts)
    assert [(tile.row, tile.column) for tile in together] == [(0, 0), (0, 50)]
    assert len(alone) == 1
    made = mosaic(together)
    assert made.grid == GRID.window(0, 0, 50, 110)
    np.testing.assert_array_equal(made.cut.values[:, :55], VALUES[:, :55])
    assert (made.cut.values[:, 55:] == 7).all()
    assert made.valid.all()
