"""Choosing the product, against the rule written out footprint by footprint."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.recipe import Sentinel2
from factory_pipeline.stac.items import Product, UnusableItem
from factory_pipeline.stac.projection import to_degrees
from factory_pipeline.stac.search_cache import GEDI_EPOCH
from factory_pipeline.stac.select_products import choose_products
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.stac.small_stac import outline_of

DAY = 86_400.0
SMALL = Grid(32631, 500_000, 5_600_000, 10, 10, 100, 100)
"""One kilometre square, north of 50 degrees on the 3rd meridian."""


def product(
    name: str,
    days: float,
    cloud_cover: float,
    grid: Grid = SMALL,
    outline: shapely.Geometry | None = None,
    platform: str | None = None,
    processed: str | None = None,
) -> Product:
    """A product of a satellite of its own, unless another is named."""
    return Product(
        id=name,
        name=name,
        time=GEDI_EPOCH + timedelta(days=days),
        cloud_cover=cloud_cover,
        baseline="05.00",
        grid=grid,
        hrefs={},
        offset=1000,
        outline=outline_of(grid.padded(50)) if outline is None else outline,
        platform=name if platform is None else platform,
        processed=None if processed is None else datetime.fromisoformat(processed).replace(tzinfo=UTC),
    )


def footprints(*places: tuple[float, float, float], epsg: int = 32631) -> pl.DataFrame:
    """Footprints at (days, x, y), with shot numbers 1000, 1001, ..."""
    days, x, y = (np.array(column, dtype=float) for column in zip(*places, strict=True))
    longitude, latitude = to_degrees(epsg, x, y)
    return pl.DataFrame(
        {
            "shot_number": np.arange(1000, 1000 + len(places)),
            "delta_time": days * DAY,
            "lat_lowestmode": latitude,
            "lon_lowestmode": longitude,
        }
    )


CENTRE = (100.0, 500_505.0, 5_599_495.0)


def chosen(frame: pl.DataFrame, products: list[Product], **rules: float) -> list[str]:
    choices = choose_products(frame, products, Sentinel2(**{"candidates": 9} | rules), 32)
    return [choices.products[index].id for index in choices.frame["product"]]


def test_least_cloudy_then_nearest_in_time_then_first_id() -> None:
    products = [
        product("d", 101, 5),
        product("c", 101, 5),
        product("b", 99.5, 5),
        product("a", 108, 0.1),
        product("e", 100, 7),
    ]
    assert chosen(footprints(CENTRE), products) == ["a", "b", "c", "d", "e"]
    assert chosen(footprints(CENTRE), products, candidates=2) == ["a", "b"]


def test_limits_of_time_and_cloud_cover() -> None:
    products = [
        product("first", 90, 1),
        product("too early", 90 - 1e-6, 0),
        product("last", 110, 2),
        product("too late", 110 + 1e-6, 0),
        product("just clear", 100, 24.99),
        product("too cloudy", 100, 25),
    ]
    assert chosen(footprints(CENTRE), products) == ["first", "last", "just clear"]


SHIFTED = SMALL.window(-20, -20, 140, 140)
"""The grid of a neighbouring tile that overlaps."""


def test_second_candidate_is_another_acquisition_not_the_neighbouring_tile() -> None:
    products = [
        product("first in T31UCT", 100, 3, platform="2A"),
        product("first in T31UDT", 100.0003, 3.5, SHIFTED, platform="2A"),
        product("second", 102.5, 9, platform="2B"),
        product("third", 105, 12, platform="2A"),
    ]
    assert chosen(footprints(CENTRE), products, candidates=2) == ["first in T31UCT", "second"]
    assert chosen(footprints(CENTRE), products) == ["first in T31UCT", "second", "third"]
    # Where the first tile does not hold the window the neighbour shows the acquisition.
    edge = (100.0, SMALL.left + 25, SMALL.top - 505)
    assert chosen(footprints(edge), products[:2]) == ["first in T31UDT"]


@pytest.mark.parametrize("candidates", [1, 2])
def test_newest_processing_of_an_acquisition_wins(candidates: int) -> None:
    old = product("N0214", 100, 3, platform="2A", processed="2020-06-01T13:00:00")
    new = product("A newer", 100, 3.2, platform="2A", processed="2023-02-01T00:00:00")
    assert chosen(footprints(CENTRE), [old, new], candidates=candidates) == ["A newer"]
    # Also where it then is too cloudy: the older is not what its makers stand by.
    cloudy = replace(new, cloud_cover=30)
    assert chosen(footprints(CENTRE), [old, cloudy], candidates=candidates) == []
    # Without a time of processing the baseline tells.
    by_baseline = [replace(old, processed=None, baseline="02.14"), replace(new, processed=None)]
    assert chosen(footprints(CENTRE), by_baseline, candidates=candidates) == ["A newer"]


def test_unusable_items_are_counted_where_they_are_missed() -> None:
    here = outline_of(SMALL)
    day = GEDI_EPOCH + timedelta(days=100)
    items = [
        UnusableItem("a", "no asset B02", day, 3, here),
        UnusableItem("b", "no asset B02", None, None, None),
        UnusableItem("c", "no eo:cloud_cover", day, None, here),
        UnusableItem("cloudy", "no asset B02", day, 25, here),
        UnusableItem("late", "no asset B02", day + timedelta(days=30), 3, here),
        UnusableItem("elsewhere", "no asset B02", day, 3, shapely.box(50, 10, 51, 11)),
    ]
    frame = footprints(CENTRE, (300, *CENTRE[1:]))
    choices = choose_products(frame, [product("p", 100, 60)], Sentinel2(), 32, items)
    assert choices.rejects["reason"].to_list() == ["item_unusable"] * 2
    assert choices.rejects["detail"][0] == (
        "Of 4 products that the search gave here within 10 days, 3 can't be used (no asset B02: 2,"
        " no eo:cloud_cover: 1), 1 have 25 % cloud cover or more and 0 do not hold the whole window."
    )
    served = choose_products(frame, [product("p", 100, 1)], Sentinel2(), 32, items[:1])
    assert served.rejects.rows() == [
        (
            1001,
            "no_product",
            "Of 0 products that the search gave here within 10 days, 0 have 25 % cloud cover or more"
            " and 0 do not hold the whole window.",
        )
    ]


@pytest.mark.parametrize(
    ("pixel", "holds"),
    [(16, True), (84, True), (15, False), (85, False), (0, False), (99, False), (-1, False), (100, False)],
)
@pytest.mark.parametrize("axis", ["row", "column"])
def test_grid_holds_the_whole_window(pixel: int, holds: bool, axis: str) -> None:
    # The window starts 16 pixels before the footprint's: 0..31 is the first, 68..99 the last.
    row, column = (pixel, 50) if axis == "row" else (50, pixel)
    frame = footprints((100, SMALL.left + column * 10 + 5, SMALL.top - row * 10 - 5))
    choices = choose_products(frame, [product("p", 100, 1)], Sentinel2(), 32)
    assert choices.frame.height == holds
    if holds:
        assert choices.frame.select("row", "column").row(0) == (row, column)
        window = SMALL.window(row - 16, column - 16, 32, 32)
        assert SMALL.bounds[0] <= window.left
        assert window.bounds[2] <= SMALL.bounds[2]


def test_product_without_data_at_the_footprint_is_not_there() -> None:
    elsewhere = outline_of(SMALL.window(0, 60, 100, 40))
    assert chosen(footprints(CENTRE), [product("half a swath", 100, 0, outline=elsewhere)]) == []


def test_footprint_across_the_antimeridian() -> None:
    grid = Grid(32660, 715_000, 5_600_000, 10, 10, 200, 200)
    outline = shapely.box(179.5, 50, 180.5, 51)
    frame = footprints((100, 715_500, 5_599_000), (100, 716_500, 5_599_000), epsg=32660)
    frame = frame.with_columns(lon_lowestmode=(pl.col("lon_lowestmode") + 180) % 360 - 180)
    assert len(chosen(frame, [product("p", 100, 0, grid=grid, outline=outline)])) == 2


def test_products_are_those_that_are_chosen_in_the_order_of_ids() -> None:
    products = [product("c", 100, 1), product("b", 100, 9), product("a", 200, 5)]
    frame = footprints(CENTRE, (200, *CENTRE[1:]), CENTRE)
    choices = choose_products(frame, products, Sentinel2(), 32)
    assert [each.id for each in choices.products] == ["a", "c"]
    assert choices.frame.select("shot_number", "rank", "product").rows() == [
        (1000, 0, 1),
        (1001, 0, 0),
        (1002, 0, 1),
    ]


def test_rejects_say_what_was_there() -> None:
    products = [product("a", 100, 60), product("b", 101, 25), product("c", 99, 3), product("d", 200, 60)]
    frame = footprints((100, SMALL.left + 25, SMALL.top - 505), CENTRE, (300, *CENTRE[1:]))
    choices = choose_products(frame, products, Sentinel2(), 32)
    assert choices.frame["shot_number"].to_list() == [1001]
    assert choices.rejects.rows() == [
        (
            1000,
            "no_product",
            "Of 3 products that the search gave here within 10 days, 2 have 25 % cloud cover or more"
            " and 1 do not hold the whole window.",
        ),
        (
            1002,
            "no_product",
            "Of 0 products that the search gave here within 10 days, 0 have 25 % cloud cover or more"
            " and 0 do not hold the whole window.",
        ),
    ]


def test_no_products_and_no_footprints() -> None:
    frame = footprints(CENTRE)
    assert choose_products(frame, [], Sentinel2(), 32).rejects["shot_number"].to_list() == [1000]
    empty = choose_products(frame.clear(), [product("p", 100, 1)], Sentinel2(), 32)
    assert (empty.products, empty.frame.height, empty.rejects.height) == ((), 0, 0)


def by_the_rule(frame: pl.DataFrame, products: list[Product], rules: Sentinel2, size: int) -> list[tuple]:
    """(shot number, rank, product id, row, column), one footprint and one product at a time."""
    rows = []
    newest = {(each.platform, each.time, each.grid): each for each in sorted(products, key=lambda p: p.id)}
    products = list(newest.values())
    for shot_number, delta_time, latitude, longitude in frame.iter_rows():
        usable = []
        for each in products:
            distance = abs(delta_time - (each.time - GEDI_EPOCH).total_seconds())
            to_grid = Transformer.from_crs("EPSG:4326", f"EPSG:{each.grid.epsg}", always_xy=True)
            x, y = to_grid.transform(longitude, latitude)
            column, row = (math.floor(value) for value in ~each.grid.transform @ (x, y))
            whole = all(
                start >= 0 and start + size <= length
                for start, length in (
                    (row - size // 2, each.grid.height),
                    (column - size // 2, each.grid.width),
                )
            )
            shown = each.outline.covers(shapely.Point(longitude, latitude))
            in_time = distance <= rules.max_days * DAY
            if whole and shown and in_time and each.cloud_cover < rules.max_cloud_cover:
                usable.append((each.cloud_cover, distance, each.id, row, column, (each.platform, each.time)))
        acquisitions = {}
        for *values, acquisition in sorted(usable):
            acquisitions.setdefault(acquisition, values)
        tried = list(acquisitions.values())[: rules.candidates]
        for rank, (_, _, name, row, column) in enumerate(tried):
            rows.append((shot_number, rank, name, row, column))
    return rows


GRIDS = [SMALL, SMALL.window(20, 40, 100, 80), Grid(32630, 925_100, 5_617_200, 10, 10, 80, 80)]
"""Overlapping ones, of two zones."""

some_products = st.lists(
    st.tuples(
        st.sampled_from([0, 3, 9.5, 10, 30]),
        st.sampled_from([0.0, 1.0, 24.0, 25.0, 80.0]),
        st.sampled_from(GRIDS),
        st.booleans(),
        st.sampled_from(["2A", "2B", ""]),
    ),
    max_size=12,
)
some_places = st.lists(
    st.tuples(
        st.sampled_from([0, 1.25, 13, 19.5]),
        st.floats(499_900, 501_500),
        st.floats(5_598_700, 5_600_100),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.integration
@settings(max_examples=up_to(60), deadline=None)
@given(drawn=some_products, places=some_places, candidates=st.integers(1, 4), size=st.sampled_from([8, 32]))
def test_join_follows_the_rule(drawn: list, places: list, candidates: int, size: int) -> None:
    products = [
        product(
            f"p{index:02d}",
            days,
            cloud,
            grid,
            None if whole else outline_of(SMALL.window(0, 0, 60, 100)),
            platform,
        )
        for index, (days, cloud, grid, whole, platform) in enumerate(drawn)
    ]
    frame = footprints(*places)
    rules = Sentinel2(candidates=candidates)
    choices = choose_products(frame, products, rules, size)
    names = [each.id for each in choices.products]
    got = [
        (shot, rank, names[index], row, column)
        for shot, rank, index, row, column in choices.frame.iter_rows()
    ]
    expected = by_the_rule(frame, products, rules, size)
    assert got == expected
    served = {row[0] for row in expected}
    assert choices.rejects["shot_number"].to_list() == [
        shot for shot in frame["shot_number"] if shot not in served
    ]
