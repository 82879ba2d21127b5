"""Windows around labels."""

import polars as pl
import pytest
from pyproj import Transformer

from factory_pipeline.builds.labels.label_windows import grids_of, on_grid_of, windows_around
from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.raster_sources import Window
from factory_pipeline.errors import RecipeError

LABELS = pl.DataFrame({"longitude": [15.01, 11.9], "latitude": [48.61, -10.0]})


def test_the_label_is_in_the_middle_pixel_of_its_utm_window():
    windows = windows_around(LABELS, Window(size=32, pixel_size=10))
    assert windows["epsg"].to_list() == [32633, 32732]
    for grid, (lon, lat) in zip(grids_of(windows, 32, 10), LABELS.iter_rows(), strict=True):
        x, y = Transformer.from_crs(4326, grid.epsg, always_xy=True).transform(lon, lat)
        column, row = ~grid.transform @ (x, y)
        assert (int(column), int(row)) == (16, 16)
        assert grid.left % 10 == grid.top % 10 == 0


def test_a_place_that_a_crs_can_not_show_is_refused():
    with pytest.raises(RecipeError, match=r"EPSG:3031"):
        windows_around(LABELS.with_columns(latitude=pl.lit(95.0)), Window(size=32, pixel_size=10, crs=3031))


def test_a_window_on_a_raster_has_its_pixels():
    raster = Grid(32633, 500_003.0, 5_400_007.0, 20.0, 20.0, 500, 500)
    window = on_grid_of(raster, 15.01, 48.71, 8)
    assert (window.width, window.height, window.x_size) == (8, 8, 20.0)
    assert (window.left - raster.left) % 20 == (window.top - raster.top) % 20 == 0
    x, y = Transformer.from_crs(4326, 32633, always_xy=True).transform(15.01, 48.71)
    column, row = ~window.transform @ (x, y)
    assert (int(column), int(row)) == (4, 4)
