"""The footprint lies in pixel [16, 16] of its window."""

import polars as pl
import pytest

from factory_pipeline.builds.chips.windows import footprint_pixels, window_at, window_grids
from factory_pipeline_tests.builds.chips.factories import GRID


@pytest.mark.parametrize("size", [8, 32, 64])
def test_the_footprints_pixel_is_the_one_behind_the_middle(size):
    window = window_at(GRID, 77, 133, size)
    assert window.shape == (size, size)
    column = (GRID.left + 133 * 10 + 5 - window.left) / window.x_size
    row = (window.top - (GRID.top - 77 * 10 - 5)) / window.y_size
    assert (int(row), int(column)) == (size // 2, size // 2)


def test_the_4x4_pixels_of_a_window_of_32():
    assert footprint_pixels(32) == (slice(14, 18), slice(14, 18))


def test_windows_come_back_from_a_table():
    windows = [window_at(GRID, row, 40, 32) for row in (20, 90)]
    table = pl.DataFrame(
        {
            "epsg": [window.epsg for window in windows],
            "left": [window.left for window in windows],
            "top": [window.top for window in windows],
        }
    )
    assert window_grids(table, 32) == windows
