"""The map has the coastline that comes with the package, and the blocks of a split that has some."""

import hashlib
import json
import re

import numpy as np
import polars as pl
import pytest
import shapely

from factory_pipeline.onboarding.page.charts import footprint_map
from factory_pipeline.onboarding.page.coastline import LAND, land_within
from factory_pipeline.splits.assign import spatial_split, together_by_location
from factory_pipeline_tests.onboarding.curated import items_frame, square

PLACES = {
    (13.4, 52.5): True,
    (-60.0, -3.0): True,
    (0.0, -89.0): True,
    (-30.0, 40.0): False,
    (51.0, 42.0): False,
}
"""Berlin, Manaus, the South Pole; the Atlantic, the Caspian Sea."""


@pytest.mark.parametrize("turn", [-360, 0, 360])
def test_land_is_where_it_is_on_the_globe(turn: int) -> None:
    for (lon, lat), is_land in PLACES.items():
        rings = land_within(lon + turn - 20, max(lat - 20, -90), lon + turn + 20, lat + 20, 0.1)
        around = sum(shapely.contains_xy(shapely.Polygon(ring), lon + turn, lat) for ring in rings)
        assert around % 2 == is_land, (lon, lat)


def test_land_on_both_sides_of_180_degrees_is_one_window() -> None:
    rings = land_within(170, 50, 200, 75, 0.1)
    assert any(min(lon for lon, _ in ring) < 180 < max(lon for lon, _ in ring) for ring in rings)
    assert land_within(-140, -5, -130, 5, 0.1) == []


def test_the_land_file_is_that_of_its_package() -> None:
    [known] = json.loads((LAND.parent / "vendored.json").read_text())  # type: ignore[attr-defined]
    assert known["file"] == LAND.name
    assert hashlib.sha256(LAND.read_bytes()).hexdigest() == known["sha256"]


def test_blocks_are_outlined_around_the_images_of_their_split() -> None:
    corners = [(500_000 + 4000 * (n % 6), 5_000_000 + 4000 * (n // 6)) for n in range(36)]
    items = items_frame([square(*corner, 600) for corner in corners])
    split = spatial_split(
        items, {"train": 60, "test": 20, "validation": 20}, 1, together_by_location("block", block_m=9000)
    )
    drawn = footprint_map(items.lazy(), split, 9000)
    assert drawn is not None
    assert 4 < len(drawn.blocks) < 20
    for mark in drawn.footprints:
        around = [
            block
            for block in drawn.blocks
            if block.x <= mark.x <= block.x + block.width and block.y <= mark.y <= block.y + block.height
        ]
        assert [block.split for block in around] == [mark.split]
    alone = footprint_map(items.lazy(), items.select("stem", pl.lit("train").alias("split")))
    assert alone is not None
    assert alone.blocks == ()
    assert alone.land.startswith("M")
    assert alone.reach > 10, "a small area can be seen in its surroundings"


def test_dots_of_very_many_images_are_one_path_through_their_places() -> None:
    corners = [(500_000 + 4000 * (n % 30), 5_000_000 + 4000 * (n // 30), 600) for n in range(600)]
    items = items_frame([square(*corner) for corner in corners])
    drawn = footprint_map(items.lazy(), items.select("stem", pl.lit("test").alias("split")))
    assert drawn is not None
    [(split, path)] = drawn.dots.items()
    assert split == "test"
    steps = re.findall(r"m(-?\d+) ?([+-]?\d+)h0", path)
    places = np.cumsum([(int(right), int(down)) for right, down in steps], axis=0)
    assert re.fullmatch(r"(m-?\d+( \d+|-\d+)h0)+", path)
    assert {tuple(place) for place in places.tolist()} == {
        (round(mark.x), round(mark.y)) for mark in drawn.footprints
    }
