"""Shapes cut to the image."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.exports.clip_annotations import (
    Box,
    box_in_image,
    has_area,
    outline,
    polygons_in_image,
)
from factory_pipeline.datasets.model.sample import Shape

HEIGHT, WIDTH = 40, 48
IMAGE = shapely.box(0, 0, WIDTH, HEIGHT)


def rectangle(*bbox: float) -> Shape:
    x, y, w, h = bbox
    return Shape(AnnotationType.RECTANGLE, "a", (x, y, w, h))


def polygon(*rings: list[tuple[float, float]]) -> Shape:
    return Shape(AnnotationType.POLYGON, "a", (0, 0, 0, 0), tuple(np.array(ring, float) for ring in rings))


@pytest.mark.parametrize(
    ("drawn", "left"),
    [
        ((2, 3, 10, 7), (2, 3, 10, 7)),
        ((-5, -5, 10, 10), (0, 0, 5, 5)),
        ((40, 30, 20, 20), (40, 30, 8, 10)),
        ((-1, -1, 100, 100), (0, 0, WIDTH, HEIGHT)),
        ((48, 0, 5, 5), None),
        ((-5, 0, 5, 5), None),
        ((5, 5, 0, 5), None),
    ],
)
def test_a_box_is_cut_to_the_image_and_gone_when_no_area_is_left(drawn: Box, left: Box | None) -> None:
    assert box_in_image(rectangle(*drawn), HEIGHT, WIDTH) == left


coordinates = st.floats(-60, 100, allow_nan=False)
sizes = st.floats(0, 100, allow_nan=False)


@given(coordinates, coordinates, sizes, sizes)
def test_a_cut_box_lies_in_the_image(x: float, y: float, w: float, h: float) -> None:
    box = box_in_image(rectangle(x, y, w, h), HEIGHT, WIDTH)
    if box is not None:
        left, top, width, height = box
        assert 0 <= left <= left + width <= WIDTH + 1e-9
        assert 0 <= top <= top + height <= HEIGHT + 1e-9


def test_a_polygon_in_the_image_keeps_its_points() -> None:
    ring = [(5.5, 5.5), (30.25, 6.0), (18.0, 15.0), (30.0, 33.75), (6.0, 34.0)]
    (part,) = polygons_in_image(polygon(ring), HEIGHT, WIDTH)
    assert list(part.exterior.coords)[:-1] == ring


def test_a_polygon_that_reaches_out_is_cut_also_into_several_parts() -> None:
    fork = [(40.0, 5.0), (60.0, 5.0), (60.0, 35.0), (40.0, 35.0), (40.0, 25.0), (55.0, 25.0), (55.0, 15.0)]
    parts = polygons_in_image(polygon([*fork, (40.0, 15.0)]), HEIGHT, WIDTH)
    assert [part.area for part in parts] == [80.0, 80.0]
    assert all(IMAGE.covers(part) for part in parts)
    assert parts[0].bounds[1] < parts[1].bounds[1]


@pytest.mark.parametrize(
    "ring",
    [
        [(60.0, 5.0), (70.0, 5.0), (70.0, 9.0)],
        [(5.0, 5.0), (10.0, 10.0)],
        [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)],
    ],
    ids=["outside", "two points", "no area"],
)
def test_a_polygon_without_area_in_the_image_is_gone(ring: list[tuple[float, float]]) -> None:
    assert polygons_in_image(polygon(ring), HEIGHT, WIDTH) == []


def test_a_polygon_that_crosses_itself_has_the_area_that_is_drawn() -> None:
    bow_tie = [(0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0)]
    assert sum(part.area for part in polygons_in_image(polygon(bow_tie), HEIGHT, WIDTH)) == 50


points = st.tuples(st.integers(-10, 60).map(float), st.integers(-10, 60).map(float))


@given(st.lists(points, min_size=3, max_size=7))
def test_parts_lie_in_the_image_and_do_not_overlap(ring: list[tuple[float, float]]) -> None:
    parts = polygons_in_image(polygon(ring), HEIGHT, WIDTH)
    assert all(part.is_valid and IMAGE.buffer(1e-9).covers(part) for part in parts)
    assert shapely.union_all(parts).area == pytest.approx(sum(part.area for part in parts))


def test_a_hole_stays_a_hole() -> None:
    outer = [(20.0, 5.0), (40.0, 5.0), (40.0, 18.0), (20.0, 18.0)]
    hole = [(26.0, 8.0), (26.0, 14.0), (34.0, 14.0), (34.0, 8.0)]
    drawn = outline(polygon(outer, hole))
    assert drawn is not None
    assert drawn.area == 20 * 13 - 8 * 6


def test_a_line_has_no_area() -> None:
    assert not has_area(Shape(AnnotationType.LINE, "a", (0, 0, 9, 9)))
