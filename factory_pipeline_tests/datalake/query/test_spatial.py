"""Places: boxes and geometries, and which items meet them."""

from typing import Any

import polars as pl
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.query.spatial import boxes_meet, parse_area, parse_box
from factory_pipeline_tests.datalake.query import factories

TRIANGLE = shapely.Polygon([(0, 0), (10, 0), (0, 10)])
SHAPES = {
    "inside": shapely.box(1, 1, 2, 2),
    "in its box": shapely.box(8, 8, 9, 9),
    "across": shapely.box(4, 4, 6, 6),
    "around": shapely.box(-1, -1, 20, 20),
    "far": shapely.box(50, 50, 51, 51),
    "nowhere": None,
}
ITEMS = factories.items([factories.item(name, shape=shape) for name, shape in SHAPES.items()])


def found(operation: str, place: Any, items: pl.LazyFrame = ITEMS) -> list[str]:
    query = {"op": operation, "args": [{"property": "geometry"}, place]}
    return matching_items(items, None, query, {}).collect()["id"].to_list()


@pytest.mark.parametrize(
    ("operation", "names"),
    [
        ("s_intersects", ["inside", "across", "around"]),
        ("s_disjoint", ["in its box", "far"]),
        ("s_within", ["inside"]),
        ("s_contains", ["around"]),
        ("s_overlaps", ["across"]),
        ("s_equals", []),
    ],
)
def test_a_polygon_is_met_by_its_shape_and_not_by_its_box(operation: str, names: list[str]) -> None:
    assert found(operation, shapely.geometry.mapping(TRIANGLE)) == names


def test_an_item_without_a_geometry_meets_nothing_and_not_of_that_is_true() -> None:
    query = "not s_intersects(geometry, BBOX(-180, -90, 180, 90))"
    assert matching_items(ITEMS, None, query, {}).collect()["id"].to_list() == ["nowhere"]


def test_a_box_that_crosses_180_degrees_has_two_sides() -> None:
    east, west = shapely.box(178, 0, 179, 1), shapely.box(-179, 0, -178, 1)
    both = shapely.union(shapely.box(179.5, 0, 180, 1), shapely.box(-180, 0, -179.5, 1))
    shapes = {"east": east, "west": west, "both": both, "middle": shapely.box(0, 0, 1, 1)}
    items = factories.items([factories.item(name, shape=shape) for name, shape in shapes.items()])

    assert found("s_intersects", {"bbox": [177, -5, -177, 5]}, items) == ["east", "west", "both"]
    assert found("s_within", {"bbox": [177, -5, -177, 5]}, items) == ["east", "west", "both"]
    assert found("s_within", {"bbox": [178.5, -5, -177, 5]}, items) == ["west", "both"]
    assert found("s_disjoint", {"bbox": [177, -5, -177, 5]}, items) == ["middle"]


@pytest.mark.parametrize("edges", [[1, 1, 1, 1], [1, 0, 1, 5], [0, 1.5, 5, 1.5]])
def test_a_box_without_width_or_height_is_a_point_or_a_line(edges: list[float]) -> None:
    assert "inside" in found("s_intersects", {"bbox": edges})
    assert "far" not in found("s_intersects", {"bbox": edges})
    assert found("s_crosses", {"bbox": [1.5, 0, 1.5, 5]}) == ["inside"]


def test_heights_of_boxes_and_geometries_are_left_out() -> None:
    assert parse_box([1, 2, -100, 3, 4, 100]).boxes == parse_box([1, 2, 3, 4]).boxes
    point = parse_area({"type": "Point", "coordinates": [1, 2, 500]}).geometry
    assert shapely.equals_identical(point, shapely.Point(1, 2))


def test_a_broken_geometry_of_an_item_meets_nothing() -> None:
    row = factories.item("broken", shape=shapely.box(0, 0, 1, 1)) | {"geometry": b"no wkb"}
    assert found("s_intersects", {"bbox": [0, 0, 5, 5]}, factories.items([row])) == []


DEGREES = st.integers(-18, 18).map(lambda step: step * 10.0)
LATITUDES = st.tuples(st.integers(-9, 9), st.integers(-9, 9)).map(sorted)


@settings(deadline=None)
@given(DEGREES, DEGREES, LATITUDES, DEGREES, LATITUDES)
def test_whatever_meets_a_place_meets_one_of_its_boxes(
    west: float, east: float, latitudes: list[int], start: float, other: list[int]
) -> None:
    place = parse_box([west, latitudes[0] * 10, east, latitudes[1] * 10])
    shape = shapely.box(start, other[0] * 10, min(start + 20, 180), other[1] * 10)
    bounds = dict(zip(factories.BBOX, shape.bounds, strict=True))
    [near] = pl.select(
        boxes_meet(place, pl.lit(bounds, pl.Struct(dict.fromkeys(bounds, pl.Float64))))
    ).to_series()
    assert near or not shapely.intersects(place.geometry, shape)
