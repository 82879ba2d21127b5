"""What an image and its labels say: boxes, numbers, points."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.datalake.ingest.releases.label_file import DrawnObject
from factory_pipeline.datalake.ingest.releases.pair_facts import box_of, is_float32, points_of

COORDINATES = st.integers(-50, 50).map(lambda number: number / 4)


@given(COORDINATES, COORDINATES, st.integers(1, 9), st.integers(1, 9), st.integers(0, 3), st.booleans())
def test_a_rectangle_is_one_wherever_its_ring_begins(
    left: float, top: float, width: int, height: int, first: int, is_reversed: bool
) -> None:
    right, bottom = left + width, top + height
    ring = [(left, top), (right, top), (right, bottom), (left, bottom)]
    ring = (ring[first:] + ring[:first])[:: -1 if is_reversed else 1]
    assert box_of(tuple(ring)) == (left, top, right, bottom)


@pytest.mark.parametrize(
    "ring",
    [
        [(0, 0), (4, 0), (4, 4)],
        [(0, 0), (4, 0), (4, 4), (0, 4), (0, 2)],
        [(0, 0), (4, 0), (4, 4), (0, 3.9)],
        [(0, 0), (4, 4), (4, 0), (0, 4)],
        [(2, 0), (4, 2), (2, 4), (0, 2)],
        [(0, 0), (4, 0), (4, 0), (0, 0)],
    ],
    ids=["triangle", "five corners", "leaning", "crossed", "diamond", "a line"],
)
def test_what_is_no_rectangle_along_the_axes(ring: list[tuple[float, float]]) -> None:
    assert box_of(tuple(ring)) is None


def test_corners_may_be_off_by_the_tolerance() -> None:
    ring = np.array([(0, 0), (4, 0.0005), (4, 4), (0.0005, 4)])
    assert box_of(ring) is None
    assert box_of(ring, 1e-3) == (0, 0, 4, 4)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_text_of_a_float32_is_one(value: float) -> None:
    [narrow] = struct.unpack("f", struct.pack("f", value))
    assert is_float32(float(str(np.float32(narrow))))


@pytest.mark.parametrize(
    ("value", "expected"), [(123.4, True), (0.1 + 0.2, False), (1e300, False), (16_777_217, False)]
)
def test_numbers_that_need_more_digits_are_none(value: float, expected: bool) -> None:
    assert is_float32(value) is expected


def test_all_points_of_objects_in_their_order() -> None:
    objects = [DrawnObject(((((0, 1), (2, 3)), ((4, 5),)),)), DrawnObject(((((6, 7),),),))]
    assert points_of(objects).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert points_of([]).shape == (0, 2)
