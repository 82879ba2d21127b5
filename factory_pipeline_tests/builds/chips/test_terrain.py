"""Altitude and slope on the windows of the Sentinel-2 chips."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin
from scipy import ndimage

from factory_pipeline.builds.chips.terrain import extract_terrain, slope_percent
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.config.recipe import Recipe, Terrain
from factory_pipeline.errors import SourceUnavailableError
from factory_pipeline_tests.builds.chips.factories import (
    AWAY,
    BROKEN,
    GRID,
    REFUSED,
    MemoryReader,
    made_tile,
    made_windows,
)

RECIPE = Recipe()
TILE = made_tile("dem")
ROWS, COLUMNS = np.mgrid[: GRID.height, : GRID.width]
HILLS = (300 + 40 * np.sin(ROWS / 40) * np.cos(COLUMNS / 60)).astype(np.float32)


def horn(altitude: np.ndarray, pixel_size: float) -> np.ndarray:
    """Slope [%] by convolution with Horn's kernels, without the outermost pixels."""
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / (8 * pixel_size)
    altitude = altitude.astype(np.float64)
    across, along = (ndimage.correlate(altitude, each) for each in (kernel, kernel.T))
    return 100 * np.hypot(across, along)[1:-1, 1:-1]


def test_the_slope_of_a_plane_is_its_gradient():
    rows, columns = np.mgrid[:34, :34]
    plane = (100 + 0.3 * columns + 0.4 * rows).astype(np.float32)
    np.testing.assert_allclose(slope_percent(plane, 10), np.full((32, 32), 5), rtol=1e-4)


def test_slope_is_horns():
    altitude = np.random.default_rng(0).normal(500, 30, (34, 50)).astype(np.float32)
    slope = slope_percent(altitude, 10)
    assert slope.dtype == np.float32
    np.testing.assert_allclose(slope, horn(altitude, 10), rtol=1e-6)


def test_the_slope_of_many_windows_is_that_of_each():
    altitude = np.random.default_rng(0).normal(500, 30, (3, 34, 34)).astype(np.float32)
    for window, slope in zip(altitude, slope_percent(altitude, 10), strict=True):
        np.testing.assert_array_equal(slope, slope_percent(window, 10))


def test_chips_hold_altitude_and_a_slope_that_is_right_up_to_the_edge():
    stack = extract_terrain(made_windows([1, 2]), [(TILE,)] * 2, MemoryReader({"dem": HILLS}), RECIPE)
    whole = horn(HILLS, 10)
    assert stack.arrays["copdem"].shape == (2, 2, 32, 32)
    assert stack.arrays["copdem"].dtype == np.float32
    for chip, shot in zip(stack.arrays["copdem"], [1, 2], strict=True):
        row, column = 50 + 7 * shot, 100 + 3 * shot
        np.testing.assert_array_equal(chip[0], HILLS[row : row + 32, column : column + 32])
        np.testing.assert_allclose(
            chip[1], whole[row - 1 : row + 31, column - 1 : column + 31], rtol=1e-3, atol=1e-3
        )
    assert stack.table.to_dicts() == [
        {"shot_number": shot, "tile_names": "dem", "item_ids": "item-dem"} for shot in (1, 2)
    ]
    assert stack.rejects.is_empty()


@pytest.mark.parametrize(("row", "dropped"), [(13, False), (14, True), (17, True), (18, False)])
def test_only_the_slope_at_the_footprint_matters(row, dropped):
    """A steep step beside a gentle footprint is no reason to drop it."""
    altitude = np.full(GRID.shape, 200, np.float32)
    windows = made_windows([1])
    top, left = 57, 103
    # Horn's kernel sees a spike from the pixels around it, not from its own.
    altitude[top + row + (-1 if row < 16 else 1), left + 15] = 230
    stack = extract_terrain(windows, [(TILE,)], MemoryReader({"dem": altitude}), RECIPE)
    assert stack.rejects["reason"].to_list() == (["slope"] if dropped else [])
    assert len(stack.arrays["copdem"]) == stack.table.height == (0 if dropped else 1)


def test_the_largest_slope_is_the_recipes_and_may_be_reached():
    plane = (COLUMNS * 2.0).astype(np.float32)
    for limit, reasons in [(20, []), (19.9, ["slope"])]:
        recipe = Recipe(terrain=Terrain(max_slope=limit))
        stack = extract_terrain(made_windows([1]), [(TILE,)], MemoryReader({"dem": plane}), recipe)
        assert stack.rejects["reason"].to_list() == reasons
    assert stack.rejects["detail"].to_list() == ["The slope at the footprint is 20.0 %, 19.9 % is allowed."]


@pytest.mark.parametrize("void", [np.nan, -32767])
@pytest.mark.parametrize("place", [(57, 103), (56, 110), (88, 135)])
def test_a_void_in_the_window_or_its_margin_drops_the_footprint(void, place):
    altitude = HILLS.copy()
    altitude[place] = void
    stack = extract_terrain(made_windows([1]), [(TILE,)], MemoryReader({"dem": altitude}), RECIPE)
    assert stack.rejects.select("stage", "reason").rows() == [("copdem", "no_dem")]


def test_nan_that_no_tag_declares_is_a_void_and_spoils_no_other_footprint(tmp_path):
    """As rasters of a DEM have it where they were made without a value for no data."""
    altitude = HILLS.copy()
    altitude[60:70, 110:115] = np.nan
    transform = from_origin(GRID.left, GRID.top, 10, 10)
    profile = {"driver": "GTiff", "height": GRID.height, "width": GRID.width, "count": 1, "dtype": "float32"}
    profile |= {"tiled": True, "blockxsize": 128, "blockysize": 128, "predictor": 3, "compress": "deflate"}
    with rasterio.open(
        tmp_path / "dem.tif", "w", crs="EPSG:32640", transform=transform, **profile
    ) as dataset:
        dataset.write(altitude, 1)
    tiles = [(made_tile(str(tmp_path / "dem.tif")),)] * 2
    for reader in (BlockReader(), RasterioReader()):
        stack = extract_terrain(made_windows([1, 20]), tiles, reader, RECIPE)
        assert stack.rejects.select("shot_number", "stage", "reason").rows() == [(1, "copdem", "no_dem")]
        assert stack.table["shot_number"].to_list() == [20]
        assert np.isfinite(stack.arrays["copdem"]).all()


def test_land_below_the_sea_is_no_void():
    shore = np.full(GRID.shape, -430, np.float32)
    stack = extract_terrain(made_windows([1]), [(TILE,)], MemoryReader({"dem": shore}), RECIPE)
    assert stack.rejects.is_empty()


def test_what_has_no_dem_or_can_not_be_read_is_dropped_and_the_others_go_on():
    tiles = [(), (made_tile("bad"),), (TILE, made_tile("next"))]
    reader = MemoryReader({"dem": HILLS, "next": HILLS, "bad": BROKEN})
    stack = extract_terrain(made_windows([1, 2, 3]), tiles, reader, RECIPE)
    assert stack.rejects.rows() == [
        (1, "copdem", "no_dem", "The catalog has no tile for the window."),
        (2, "copdem", "asset_unreadable", "bad is damaged."),
    ]
    assert stack.table.rows() == [(3, "dem;next", "item-dem;item-next")]


def test_a_batch_is_not_emptied_while_the_archive_is_away():
    tiles = [(made_tile("one"),), (made_tile("two"),)]
    with pytest.raises(SourceUnavailableError, match="try again later"):
        extract_terrain(made_windows([1, 2]), tiles, MemoryReader({"one": AWAY, "two": AWAY}), RECIPE)
    one_away = extract_terrain(made_windows([1, 2]), tiles, MemoryReader({"one": AWAY}), RECIPE)
    assert one_away.rejects["reason"].to_list() == ["asset_unreadable"] * 2


def test_an_empty_batch_has_empty_chips():
    stack = extract_terrain(made_windows([]), [], MemoryReader({}), RECIPE)
    assert stack.arrays["copdem"].shape == (0, 2, 32, 32)
    assert stack.table.is_empty()


def test_the_real_dem_of_sao_tome():
    if not os.environ.get("FACTORY_REALDATA"):
        pytest.skip("FACTORY_REALDATA names no folder with real sample data")
    (path,) = (Path(os.environ["FACTORY_REALDATA"]) / "dem").glob("*.tif")
    x, y = Transformer.from_crs(4326, 32632, always_xy=True).transform([6.6, 6.73, 6.55], [0.25, 0.34, 0.1])
    windows = pl.DataFrame(
        {
            "shot_number": [1, 2, 3],
            "epsg": [32632] * 3,
            "left": [each // 10 * 10.0 for each in x],
            "top": [each // 10 * 10.0 for each in y],
        }
    )
    tile = made_tile(str(path))
    recipe = Recipe(terrain=Terrain(max_slope=1000))
    stack = extract_terrain(windows, [(tile,)] * 3, RasterioReader(), recipe)
    altitude, slope = stack.arrays["copdem"][:, 0], stack.arrays["copdem"][:, 1]
    assert altitude.min() >= 0
    assert altitude.max() < 2024, "Pico de Sao Tome"
    assert altitude[1].max() < 60 < altitude[0].min(), "the capital lies at the shore, the first place inland"
    assert 0 < slope.mean() < 200
    for chip in stack.arrays["copdem"]:
        np.testing.assert_allclose(chip[1, 1:-1, 1:-1], horn(chip[0], 10), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("rasters", [1, 2])
def test_an_archive_that_refuses_everything_is_told_from_one_raster_that_is_missing(rasters):
    tiles = [(made_tile(f"gone{number % rasters}"),) for number in range(4)]
    reader = MemoryReader({f"gone{number}": REFUSED for number in range(rasters)})
    if rasters == 1:
        stack = extract_terrain(made_windows([1, 2, 3, 4]), tiles, reader, RECIPE)
        assert stack.rejects["reason"].to_list() == ["asset_unreadable"] * 4
    else:
        with pytest.raises(SourceUnavailableError, match=r"4 windows .* all 2 rasters are refused"):
            extract_terrain(made_windows([1, 2, 3, 4]), tiles, reader, RECIPE)
