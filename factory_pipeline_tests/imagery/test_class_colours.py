"""Colours of classes: the first as they were, distinct up to many, the same whatever their number."""

import numpy as np
import pytest
from numpy.typing import NDArray

from factory_pipeline.imagery.class_colours import class_colour

MANY = 40
BACKGROUNDS = ("#ffffff", "#e8ebee", "#000000")


def cielab(colour: str) -> NDArray[np.float64]:
    """CIE 1976 L*, a*, b* under D65: another space than that in which colours are chosen."""
    shares = np.array(tuple(bytes.fromhex(colour[1:]))) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    matrix = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = np.array(matrix) @ linear / (0.9505, 1, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array((116 * y - 16, 500 * (x - y), 200 * (y - z)))


@pytest.mark.parametrize("first", [None, ("#c8b27d", "#2a7ab9")])
def test_many_classes_are_told_apart_and_from_the_background(first: tuple[str, ...] | None) -> None:
    options = {} if first is None else {"first": first}
    colours = [class_colour(number, **options) for number in range(MANY)]
    assert colours[: len(first or ())] == list(first or ())
    places = np.array([cielab(colour) for colour in (*colours, *BACKGROUNDS)])
    apart = np.linalg.norm(places[:MANY, None] - places[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    # Just noticeable is a difference of 2.3.
    assert apart.min() > 10


def test_a_colour_does_not_depend_on_how_many_are_asked_for() -> None:
    after_many = [class_colour(200), *(class_colour(number) for number in (31, 32, 33))][1:]
    assert after_many == [class_colour(number) for number in (31, 32, 33)]
    assert (class_colour(0), class_colour(9), class_colour(10)) == ("#3b6fb6", "#a3c644", "#ff00ff")
