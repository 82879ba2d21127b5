"""Points of an affine map, against the affine package."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.imagery.map_points import map_points

NUMBERS = st.floats(-1e4, 1e4)


@given(st.tuples(*[NUMBERS] * 6), st.tuples(NUMBERS, NUMBERS))
def test_points_are_those_of_the_affine(coefficients: tuple[float, ...], point: tuple[float, float]):
    affine = Affine(*coefficients)
    expected = pytest.approx(np.array([affine @ point]))
    assert map_points(affine, np.array([point])) == expected
    assert map_points((*coefficients, 0.0, 0.0, 1.0), np.array([point])) == expected


def test_no_points_are_no_points():
    assert map_points((1, 0, 0, 0, 1, 0), np.empty((0, 2))).shape == (0, 2)
