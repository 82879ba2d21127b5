"""The chips of a batch: which product is taken, what is read of it, what is dropped and why."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import reproject

from factory_pipeline.builds.chips.sentinel2 import TABLE_SCHEMA, extract_sentinel2
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.config.recipe import S2_BANDS, Recipe, SceneChecks, Sentinel2
from factory_pipeline.errors import SourceUnavailableError
from factory_pipeline.stac.items import Product
from factory_pipeline_tests.builds.chips.factories import (
    AWAY,
    BROKEN,
    GRID,
    OUTAGE,
    MemoryReader,
    made_choices,
    made_footprints,
    made_product,
    made_scene,
)

RECIPE = Recipe()
CLOUDS, LAND = 9, 4


def window_of(shot: int) -> tuple[slice, slice]:
    """The window of a shot of `made_choices` in the rasters."""
    row, column = 100 + shot, 200 - shot
    return slice(row - 16, row + 16), slice(column - 16, column + 16)


def extract(products, tried, rasters, missing=(), recipe=RECIPE, shots=None):
    shots = sorted([*tried, *missing]) if shots is None else shots
    choices = made_choices(products, tried, missing)
    return extract_sentinel2(made_footprints(shots), choices, MemoryReader(rasters), recipe)


def test_a_chip_holds_scl_and_the_bands_around_the_footprint():
    rasters = made_scene("one")
    stack = extract([made_product("one")], {5: [0]}, rasters)
    chip = stack.arrays["sentinel2"]
    assert chip.shape == (1, 12, 32, 32)
    assert chip.dtype == np.uint16
    for place, band in enumerate(("SCL", *S2_BANDS)):
        np.testing.assert_array_equal(chip[0, place], rasters[f"one/{band}"][window_of(5)])
    assert rasters["one/B02"][105, 195] == chip[0, 1, 16, 16]


def test_the_table_tells_where_a_chip_comes_from():
    scl = np.full(GRID.shape, LAND)
    scl[80:, :190] = 5
    product = made_product("one", offset_in_pixels=True)
    stack = extract([product], {5: [0]}, made_scene("one", scl))
    assert dict(stack.table.schema) == TABLE_SCHEMA
    (row,) = stack.table.to_dicts()
    fractions = row.pop("scl_fractions")
    assert row == {
        "shot_number": 5,
        "item_id": "item-one",
        "product_name": "one",
        "product_time": product.time,
        "cloud_cover": 3.25,
        "baseline": "05.00",
        "offset_removed": 1000,
        "epsg": 32640,
        "left": GRID.left + 10 * (195 - 16),
        "top": GRID.top - 10 * (105 - 16),
    }
    window = scl[window_of(5)]
    assert fractions[4] == (window == 4).mean()
    assert fractions[5] == (window == 5).mean() > 0


def test_chips_come_in_the_order_of_the_footprints():
    products = [made_product("one"), made_product("two")]
    rasters = made_scene("one") | made_scene("two", level=9000)
    stack = extract(products, {3: [1], 1: [0], 2: [1]}, rasters, shots=[2, 3, 1])
    assert stack.table["shot_number"].to_list() == [2, 3, 1]
    assert stack.table["product_name"].to_list() == ["two", "two", "one"]
    for chip, shot, name in zip(stack.arrays["sentinel2"], [2, 3, 1], ["two", "two", "one"], strict=True):
        np.testing.assert_array_equal(chip[1], rasters[f"{name}/B02"][window_of(shot)])


@pytest.mark.parametrize(
    ("in_pixels", "wanted", "removed"), [(True, True, 1000), (True, False, 0), (False, True, 0)]
)
def test_the_offset_is_removed_where_the_product_has_it_and_the_recipe_says_so(in_pixels, wanted, removed):
    rasters = made_scene("one", level=990)
    rasters["one/B02"][105, 195] = 0
    rasters["one/B12"][105, 195] = 65535
    recipe = Recipe(sentinel2=Sentinel2(remove_offset=wanted))
    stack = extract([made_product("one", in_pixels)], {5: [0]}, rasters, recipe=recipe)
    assert stack.table["offset_removed"].to_list() == [removed]
    counts = rasters["one/B02"][window_of(5)].astype(int)
    expected = np.where(counts == 0, 0, np.maximum(counts - removed, 1))
    np.testing.assert_array_equal(stack.arrays["sentinel2"][0, 1], expected)
    assert stack.arrays["sentinel2"][0, -1, 16, 16] == 65535 - removed
    assert (stack.arrays["sentinel2"][0, 0] == LAND).all()


def test_band_at_the_floor_is_refused_and_the_next_candidate_taken():
    """A product of which an offset is removed that its pixels do not carry."""
    rasters = made_scene("dark", level=0) | made_scene("fine", level=0)
    rasters["dark/B02"] = np.minimum(rasters["dark/B02"], 400)
    products = [made_product("dark", offset_in_pixels=True), made_product("fine")]
    stack = extract(products, {1: [0], 2: [0, 1]}, rasters)
    assert stack.table.select("shot_number", "product_name").rows() == [(2, "fine")]
    ((shot, stage, reason, detail),) = stack.rejects.rows()
    assert (shot, stage, reason) == (1, "sentinel2", "band_at_floor")
    assert detail.startswith("dark: nearly all pixels of B02 (100%)")
    assert detail.endswith(
        "at the lowest count or hold no data once the offset of 1000 (baseline 05.00) is removed."
    )


@pytest.mark.parametrize(("dark_share", "taken"), [(0.9, True), (0.97, False)])
def test_band_that_is_dark_in_parts_of_the_window_is_data(dark_share, taken):
    rasters = made_scene("one", level=2000)
    dark = np.random.default_rng(0).random(GRID.shape) < dark_share
    rasters["one/B12"] = np.where(dark, 900, rasters["one/B12"]).astype(np.uint16)
    stack = extract([made_product("one", offset_in_pixels=True)], {1: [0]}, rasters)
    assert stack.table.height == taken


def test_each_footprint_has_a_chip_or_a_reason():
    cloudy = np.full(GRID.shape, LAND)
    cloudy[:, 195:] = CLOUDS
    products = [made_product("fine"), made_product("cloudy"), made_product("gone"), made_product("holed")]
    rasters = made_scene("fine") | made_scene("cloudy", cloudy) | made_scene("holed")
    rasters["holed/B8A"] = BROKEN
    stack = extract(products, {1: [0], 2: [1], 3: [1], 4: [2], 5: [3]}, rasters, missing=[6])
    assert stack.table["shot_number"].to_list() == [1]
    assert stack.rejects.rows() == [
        (6, "sentinel2", "no_product", "The search gave no product here."),
        (
            2,
            "sentinel2",
            "scl_center",
            "cloudy: not all of the 4x4 pixels at the footprint are of SCL class 4 or 5.",
        ),
        (
            3,
            "sentinel2",
            "scl_center",
            "cloudy: not all of the 4x4 pixels at the footprint are of SCL class 4 or 5.",
        ),
        (4, "sentinel2", "asset_unreadable", "gone: gone/SCL is damaged."),
        (5, "sentinel2", "asset_unreadable", "holed: holed/B8A is damaged."),
    ]


def test_bands_are_read_only_for_scenes_that_pass():
    rasters = made_scene("fine") | made_scene("cloudy", CLOUDS)
    reader = MemoryReader(rasters)
    choices = made_choices([made_product("fine"), made_product("cloudy")], {1: [0], 2: [1], 3: [0]})
    extract_sentinel2(made_footprints([1, 2, 3]), choices, reader, RECIPE)
    scenes, bands = reader.calls
    assert scenes == ["fine/SCL", "cloudy/SCL", "fine/SCL"]
    assert bands == [f"fine/{band}" for band in S2_BANDS] * 2


def test_the_next_candidate_is_taken_where_the_first_fails():
    """By its scene, by a scene that can't be read, by a band that can't be read."""
    products = [made_product(name) for name in ("cloudy", "gone", "holed", "fine")]
    rasters = made_scene("cloudy", CLOUDS) | made_scene("holed") | made_scene("fine")
    rasters["holed/B05"] = BROKEN
    reader = MemoryReader(rasters)
    choices = made_choices(products, {1: [0, 3], 2: [1, 3], 3: [2, 3], 4: [3, 0], 5: [2, 0, 1]})
    stack = extract_sentinel2(made_footprints([1, 2, 3, 4, 5]), choices, reader, RECIPE)
    assert stack.table.select("shot_number", "product_name").rows() == [
        (1, "fine"),
        (2, "fine"),
        (3, "fine"),
        (4, "fine"),
    ]
    (reject,) = stack.rejects.rows()
    assert reject[:3] == (5, "sentinel2", "asset_unreadable")
    assert reject[3] == (
        "holed: holed/B05 is damaged."
        " cloudy: not all of the 4x4 pixels at the footprint are of SCL class 4 or 5."
        " gone: gone/SCL is damaged."
    )
    for chip, shot in zip(stack.arrays["sentinel2"], [1, 2, 3, 4], strict=True):
        np.testing.assert_array_equal(chip[5], rasters["fine/B06"][window_of(shot)])


def test_an_archive_that_is_away_empties_no_batch():
    products = [made_product("one"), made_product("two")]
    tried = {1: [0, 1], 2: [1]}
    with pytest.raises(SourceUnavailableError, match="one/SCL is away"):
        extract(products, tried, {"one/SCL": AWAY, "two/SCL": AWAY})
    rasters = made_scene("one") | made_scene("two")
    bands_away = {href: AWAY for href in rasters if not href.endswith("SCL")}
    with pytest.raises(SourceUnavailableError, match="B02 is away"):
        extract(products, tried, rasters | bands_away)


def test_an_outage_in_the_middle_of_a_batch_loses_no_footprint():
    products = [made_product("one"), made_product("two")]
    told = "two/SCL can't be read: its server has stopped responding; try again later"
    with pytest.raises(SourceUnavailableError, match=told):
        extract(products, {1: [0], 2: [1]}, made_scene("one") | {"two/SCL": OUTAGE})
    # Nor does that of a second choice.
    with pytest.raises(SourceUnavailableError, match=told):
        extract(products, {1: [0, 1]}, made_scene("one", CLOUDS) | {"two/SCL": OUTAGE})


def test_a_product_that_is_away_alone_costs_only_its_own_footprints():
    products = [made_product("one"), made_product("two")]
    rasters = made_scene("one") | {"two/SCL": AWAY}
    stack = extract(products, {1: [0], 2: [1]}, rasters)
    assert stack.table["shot_number"].to_list() == [1]
    assert stack.rejects["reason"].to_list() == ["asset_unreadable"]


def test_a_second_choice_that_is_away_is_no_reason_to_try_the_batch_again():
    products = [made_product("cloudy"), made_product("two")]
    stack = extract(products, {1: [0, 1]}, made_scene("cloudy", CLOUDS) | {"two/SCL": AWAY})
    assert stack.rejects["reason"].to_list() == ["scl_center"]
    assert "two/SCL is away" in stack.rejects["detail"][0]


def test_a_batch_without_a_product_has_empty_chips():
    stack = extract([], {}, {}, missing=[1, 2])
    assert stack.arrays["sentinel2"].shape == (0, 12, 32, 32)
    assert dict(stack.table.schema) == TABLE_SCHEMA
    assert stack.rejects["reason"].to_list() == ["no_product"] * 2


def test_bands_checks_and_window_are_the_recipes():
    rules = Sentinel2(bands=("B08", "B04"), checks=SceneChecks(center_classes=(9,), cloud=1))
    recipe = Recipe(window_size=16, sentinel2=rules)
    rasters = made_scene("one", CLOUDS)
    stack = extract([made_product("one")], {1: [0]}, rasters, recipe=recipe)
    chip = stack.arrays["sentinel2"]
    assert chip.shape == (1, 3, 16, 16)
    np.testing.assert_array_equal(chip[0, 1], rasters["one/B08"][93:109, 191:207])
    np.testing.assert_array_equal(chip[0, 2], rasters["one/B04"][93:109, 191:207])


@pytest.mark.integration  # takes seconds
def test_chips_of_files_equal_gdals_warp_of_each_band(tmp_path: Path):
    """A product as it is stored: 10, 20 and 60 m bands with 15 bits, windows at odd offsets and corners."""
    rng = np.random.default_rng(0)
    sizes = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B09": 60}
    values, grids, hrefs = {}, {}, {}
    for band in ("SCL", *S2_BANDS):
        metres = sizes.get(band, 20)
        pixels = 480 * 10 // metres
        grids[band] = Grid(32640, 600000, 4000020, metres, metres, pixels, pixels)
        low, high = (4, 6) if band == "SCL" else (1, 32768)
        values[band] = rng.integers(low, high, (pixels, pixels)).astype("u1" if band == "SCL" else "u2")
        hrefs[band] = str(tmp_path / f"{band}.tif")
        bits = {} if band == "SCL" else {"nbits": 15}
        with rasterio.open(
            hrefs[band],
            "w",
            driver="GTiff",
            width=pixels,
            height=pixels,
            count=1,
            dtype=values[band].dtype,
            crs="EPSG:32640",
            transform=grids[band].transform,
            tiled=True,
            blockxsize=64,
            blockysize=64,
            compress="deflate",
            **bits,
        ) as file:
            file.write(values[band], 1)
    made = made_product("stored")
    grid = Grid(32640, 600000, 4000020, 10, 10, 480, 480)
    product = Product(**{**vars(made), "hrefs": hrefs, "grid": grid})
    places = {1: (16, 16), 2: (464, 464), 3: (117, 231), 4: (333, 90)}
    choices = made_choices([product], {shot: [0] for shot in places})
    frame = choices.frame.with_columns(
        row=np.array([row for row, _ in places.values()]),
        column=np.array([column for _, column in places.values()]),
    )
    choices = type(choices)(choices.products, frame, choices.rejects)
    stack = extract_sentinel2(made_footprints(list(places)), choices, RasterioReader(), RECIPE)
    assert stack.rejects.is_empty()
    for chip, (row, column) in zip(stack.arrays["sentinel2"], places.values(), strict=True):
        window = grid.window(row - 16, column - 16, 32, 32)
        for place, band in enumerate(("SCL", *S2_BANDS)):
            expected = np.zeros((32, 32), values[band].dtype)
            reproject(
                values[band],
                expected,
                src_transform=grids[band].transform,
                src_crs="EPSG:32640",
                dst_transform=window.transform,
                dst_crs="EPSG:32640",
                resampling=Resampling.nearest if band == "SCL" else Resampling.bilinear,
                tolerance=0,
            )
            # A value just between two counts may be rounded to either.
            atol = 0 if grids[band].x_size == 10 or band == "SCL" else 1
            np.testing.assert_allclose(chip[place].astype(int), expected.astype(int), atol=atol)
