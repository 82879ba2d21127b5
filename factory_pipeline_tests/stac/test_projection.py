"""Degrees to a grid and back, against pyproj."""

import numpy as np
import pytest
from pyproj import Transformer

from factory_pipeline.stac.projection import from_degrees, to_degrees

LONGITUDE, LATITUDE = np.array([15.0, 16.5]), np.array([48.6, -33.2])


def test_places_are_those_of_pyproj():
    x, y = from_degrees(32633, LONGITUDE, LATITUDE)
    expected = Transformer.from_crs(4326, 32633, always_xy=True).transform(LONGITUDE, LATITUDE)
    assert x == pytest.approx(expected[0])
    assert y == pytest.approx(expected[1])


def test_the_way_back_ends_where_it_began():
    longitude, latitude = to_degrees(32633, *from_degrees(32633, LONGITUDE, LATITUDE))
    assert longitude == pytest.approx(LONGITUDE, abs=1e-9)
    assert latitude == pytest.approx(LATITUDE, abs=1e-9)


def test_a_place_that_a_crs_cannot_show_is_infinite():
    x, _ = from_degrees(3031, np.array([0.0]), np.array([95.0]))
    assert np.isinf(x).all()
