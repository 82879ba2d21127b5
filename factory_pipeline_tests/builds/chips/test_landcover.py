"""Land cover on the windows of the Sentinel-2 chips."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rasterio
from pyproj import Transformer

from factory_pipeline.builds.chips.landcover import extract_landcover
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import SourceUnavailableError
from factory_pipeline_tests.builds.chips.factories import AWAY, GRID, MemoryReader, made_tile, made_windows

RECIPE = Recipe()
MAP = np.random.default_rng(0).choice([10, 30, 40, 80], GRID.shape).astype(np.uint8)


def test_chips_hold_the_class_codes_of_their_windows():
    tiles = [(made_tile("map"),), (made_tile("map"), made_tile("next"))]
    stack = extract_landcover(made_windows([1, 2]), tiles, MemoryReader({"map": MAP, "next": MAP}), RECIPE)
    assert stack.arrays["worldcover"].dtype == np.uint8
    expected = np.stack([MAP[57:89, 103:135], MAP[64:96, 106:138]])[:, None]
    np.testing.assert_array_equal(stack.arrays["worldcover"], expected)
    assert stack.table.rows() == [(1, "map", "item-map"), (2, "map;next", "item-map;item-next")]


def test_a_window_without_tile_or_data_is_dropped():
    nothing = np.full(GRID.shape, np.nan)
    partly = np.full(GRID.shape, 10.0)
    partly[81:] = np.nan
    reader = MemoryReader({"nothing": nothing, "partly": partly})
    tiles = [(), (made_tile("nothing"),), (made_tile("partly"),), (made_tile("gone"),)]
    stack = extract_landcover(made_windows([1, 2, 3, 4]), tiles, reader, RECIPE)
    assert stack.rejects.select("shot_number", "stage", "reason").rows() == [
        (1, "worldcover", "no_worldcover"),
        (4, "worldcover", "asset_unreadable"),
        (2, "worldcover", "no_worldcover"),
    ]
    assert stack.table["shot_number"].to_list() == [3]
    assert (stack.arrays["worldcover"][0, 0, :10] == 10).all()
    assert (stack.arrays["worldcover"][0, 0, 10:] == 0).all()


def test_a_batch_is_not_emptied_while_the_archive_is_away():
    with pytest.raises(SourceUnavailableError):
        extract_landcover(made_windows([1]), [(made_tile("map"),)], MemoryReader({"map": AWAY}), RECIPE)


def test_an_empty_batch_has_empty_chips():
    stack = extract_landcover(made_windows([]), [], MemoryReader({}), RECIPE)
    assert stack.arrays["worldcover"].shape == (0, 1, 32, 32)


@pytest.mark.parametrize("year", [2020, 2021])
def test_each_pixel_shows_the_class_at_its_centre_on_the_real_map(year):
    if not os.environ.get("FACTORY_REALDATA"):
        pytest.skip("FACTORY_REALDATA names no folder with real sample data")
    (path,) = (Path(os.environ["FACTORY_REALDATA"]) / "worldcover").glob(f"*_{year}_*.tif")
    projection = Transformer.from_crs(4326, 32632, always_xy=True)
    x, y = projection.transform(6.735, 0.341)
    left, top = x // 10 * 10.0, y // 10 * 10.0
    windows = pl.DataFrame({"shot_number": [7], "epsg": [32632], "left": [left], "top": [top]})
    stack = extract_landcover(windows, [(made_tile(str(path)),)], RasterioReader(), RECIPE)
    columns, rows = np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5)
    longitude, latitude = projection.transform(left + 10 * columns, top - 10 * rows, direction="INVERSE")
    with rasterio.open(path) as file:
        places = zip(longitude.ravel(), latitude.ravel(), strict=True)
        sampled = np.array([value for (value,) in file.sample(places)]).reshape(32, 32)
    np.testing.assert_array_equal(stack.arrays["worldcover"][0, 0], sampled)
    assert len(np.unique(sampled)) > 2
