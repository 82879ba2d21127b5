"""Shapes that move with their image, are cut at its edges, or have left it."""

import numpy as np
import pytest
import shapely
from affine import Affine

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.augment.shapes import move_shapes
from factory_pipeline.datasets.model.sample import Shape
from factory_pipeline_tests.datasets.augment.factories import drawn

POLYGON, LINE, RECTANGLE = AnnotationType.POLYGON, AnnotationType.LINE, AnnotationType.RECTANGLE
SIZE = (20, 30)
"""Height and width."""


def moved(shape: Shape, affine: Affine, after: tuple[int, int] = SIZE) -> tuple[Shape, ...]:
    return move_shapes([shape], affine, SIZE, after)


def test_a_shape_that_stays_in_the_image_keeps_its_points_and_what_is_said_of_it() -> None:
    facts = {
        "confidence": 0.5,
        "metadata": {"by": "Åsa"},
        "attributes": {"occluded": True},
        "source": "machine",
    }
    shape = drawn(POLYGON, [(1, 1), (9, 1), (9, 8)], [(7, 2), (8, 2), (8, 3)], label="forest", **facts)
    [copy] = moved(shape, Affine.translation(3, 2))
    assert copy.label == "forest"
    assert {name: getattr(copy, name) for name in facts} == facts
    np.testing.assert_array_equal(copy.rings[0], [(4, 3), (12, 3), (12, 10)])
    np.testing.assert_array_equal(copy.rings[1], [(10, 4), (11, 4), (11, 5)])
    assert copy.bbox == (4, 3, 8, 7)


def test_a_rectangle_becomes_the_bounds_of_its_turned_corners() -> None:
    [copy] = moved(Shape(RECTANGLE, "lake", (10, 8, 10, 4)), Affine.rotation(45, (15, 10)))
    reach = 7 / np.sqrt(2)
    np.testing.assert_allclose(copy.bbox, (15 - reach, 10 - reach, 2 * reach, 2 * reach))
    assert copy.rings == ()


def test_of_a_rectangle_only_what_is_seen_counts() -> None:
    [copy] = moved(Shape(RECTANGLE, "lake", (-5, 2, 10, 30)), Affine.translation(10, 0))
    assert copy.bbox == (10, 2, 5, 18)
    assert moved(Shape(RECTANGLE, "lake", (5, 2, 10, 10)), Affine.translation(25, 0)) == ()
    assert moved(Shape(RECTANGLE, "lake", (5, 2, 10, 10)), Affine.translation(-15, 0)) == ()


def test_a_turned_rectangle_is_cut_before_its_bounds_are_taken() -> None:
    """The far corner of the diamond is outside, and widens the bounds no more."""
    [copy] = moved(Shape(RECTANGLE, "lake", (10, 8, 4, 4)), Affine.rotation(45, (12, 10)), (10, 30))
    reach = 4 / np.sqrt(2)
    np.testing.assert_allclose(copy.bbox, (12 - reach, 10 - reach, 2 * reach, reach))


def test_each_part_of_a_polygon_that_the_edge_cuts_apart_is_a_shape() -> None:
    comb = [(2, 2), (28, 2), (28, 12), (20, 12), (20, 6), (10, 6), (10, 12), (2, 12)]
    copies = moved(drawn(POLYGON, comb), Affine.translation(0, -8))
    assert [copy.bbox for copy in copies] == [(2, 0, 8, 4), (20, 0, 8, 4)]
    assert {copy.type for copy in copies} == {POLYGON}


def test_parts_come_from_top_to_bottom_and_from_left_to_right() -> None:
    spine = [(2, 2), (18, 2), (18, 18), (2, 18)]
    gaps = [(2, 15), (12, 15), (12, 11), (2, 11), (2, 8), (12, 8), (12, 5), (2, 5)]
    comb = np.array(spine + gaps, np.float64)
    from_the_side = moved(drawn(POLYGON, 20 - comb), Affine.translation(-10, 0))
    assert [copy.bbox[1] for copy in from_the_side] == [2, 9, 15]
    from_above = moved(drawn(POLYGON, comb[:, ::-1]), Affine.translation(0, 12))
    assert [copy.bbox[0] for copy in from_above] == [2, 8, 15]


def test_a_hole_stays_a_hole_or_becomes_a_part_of_the_edge() -> None:
    square, hole = [(2, 2), (18, 2), (18, 18), (2, 18)], [(6, 6), (12, 6), (12, 12), (6, 12)]
    [whole] = moved(drawn(POLYGON, square, hole), Affine.translation(-4, 0))
    assert len(whole.rings) == 2
    assert shapely.Polygon(whole.rings[0], whole.rings[1:]).area == 14 * 16 - 36
    [open_] = moved(drawn(POLYGON, square, hole), Affine.translation(-8, 0))
    assert len(open_.rings) == 1
    assert shapely.Polygon(open_.rings[0]).area == 10 * 16 - 4 * 6


def test_a_polygon_that_crosses_itself_is_cut_as_it_is_drawn() -> None:
    bow_tie = drawn(POLYGON, [(10, 2), (20, 12), (20, 2), (10, 12)])
    right, left = moved(bow_tie, Affine.translation(-11, 0))
    assert (left.bbox, right.bbox) == ((0, 3, 4, 8), (4, 2, 5, 10))
    areas = [shapely.Polygon(copy.rings[0]).area for copy in (left, right)]
    assert areas == pytest.approx([16, 25])
    [whole] = moved(bow_tie, Affine.translation(1, 1))
    np.testing.assert_array_equal(whole.rings[0], bow_tie.rings[0] + 1)


def test_a_line_is_cut_in_its_own_direction() -> None:
    there_and_back = drawn(LINE, [(28, 3), (5, 3), (5, 9), (28, 9)], label="road")
    first, second = moved(there_and_back, Affine.translation(-10, 0))
    np.testing.assert_array_equal(first.rings[0], [(18, 3), (0, 3)])
    np.testing.assert_array_equal(second.rings[0], [(0, 9), (18, 9)])
    assert (first.type, first.label) == (LINE, "road")


def test_parts_of_a_line_that_leave_at_the_same_place_keep_their_directions() -> None:
    points = [(20, 2), (10, 5), (7, 8), (10, 9), (20, 9), (10, 5), (7, 2)]
    first, second = moved(drawn(LINE, points), Affine.translation(-10, 0))
    np.testing.assert_array_equal(first.rings[0], [(10, 2), (0, 5)])
    np.testing.assert_array_equal(second.rings[0], [(0, 9), (10, 9), (0, 5)])


def test_a_line_that_crosses_itself_and_is_cut_keeps_its_length() -> None:
    loop = drawn(LINE, [(2, 10), (20, 10), (20, 4), (12, 4), (12, 18)])
    parts = moved(loop, Affine.translation(-8, 0))
    expected = shapely.LineString(loop.rings[0]).intersection(shapely.box(8, 0, 38, 20)).length
    assert sum(shapely.LineString(part.rings[0]).length for part in parts) == pytest.approx(expected)


def test_a_shape_that_only_touches_the_image_is_dropped() -> None:
    shift = Affine.translation(-10, 0)
    for shape in (
        Shape(RECTANGLE, "lake", (5, 5, 5, 5)),
        drawn(POLYGON, [(2, 2), (10, 5), (2, 8)]),
        drawn(LINE, [(2, 2), (10, 5), (2, 8)]),
    ):
        assert moved(shape, shift) == ()


def test_what_lay_outside_the_image_before_is_not_seen_in_the_copy() -> None:
    beside = drawn(POLYGON, [(31, 5), (35, 5), (35, 9)])
    assert moved(beside, Affine.translation(-10, 0)) == ()
    across = drawn(LINE, [(20, 5), (40, 5)])
    [copy] = moved(across, Affine.translation(-10, 0))
    np.testing.assert_array_equal(copy.rings[0], [(10, 5), (20, 5)])


def test_shapes_without_extent_move_along_or_leave() -> None:
    point = drawn(LINE, [(12, 4)])
    [copy] = moved(point, Affine.translation(1, 1))
    assert copy.bbox == (13, 5, 0, 0)
    assert moved(point, Affine.translation(-20, 0)) == ()
    assert moved(drawn(POLYGON, [(2, 2), (12, 4)]), Affine.translation(-8, 0)) == ()
    assert moved(Shape(RECTANGLE, "lake", (2, 2, 10, 0)), Affine.translation(-8, 0)) == ()
