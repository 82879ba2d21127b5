"""Boxes of a section."""

from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.volumes.boxes import Box

BOX = Box(3, 40, 20, 16, 8)


def test_a_moved_box_keeps_its_section_and_size():
    assert BOX.moved(4, -8) == Box(3, 32, 24, 16, 8)


@given(st.integers(1, 64), st.integers(1, 64))
def test_the_box_around_has_the_same_centre(width: int, height: int):
    around = BOX.around(width, height)
    assert (around.width, around.height) == (width, height)
    assert abs((2 * around.x + width) - (2 * BOX.x + BOX.width)) <= 1
    assert abs((2 * around.y + height) - (2 * BOX.y + BOX.height)) <= 1


def test_pixels_of_a_mip_are_x_then_y():
    assert BOX.pixels(0) == (slice(20, 36), slice(40, 48))
    assert BOX.pixels(2) == (slice(5, 9), slice(10, 12))
