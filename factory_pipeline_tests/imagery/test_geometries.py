"""Footprints at 180 degrees and at the poles become valid geometries of the ground that they cover."""

import numpy as np
import pytest
import shapely

from factory_pipeline.imagery.geometries import bounds_of, geometries


def square(west: float, south: float, side: float) -> list[list[float]]:
    """Return corners clockwise from the upper left."""
    east, north = west + side, south + side
    return [[west, north], [east, north], [east, south], [west, south]]


def test_a_footprint_is_a_polygon_counter_clockwise() -> None:
    (polygon,) = geometries(np.array([square(10, 50, 2)], dtype=np.float64))
    assert polygon.equals(shapely.box(10, 50, 12, 52))
    assert polygon.exterior.is_ccw


def test_a_footprint_of_nan_has_no_geometry() -> None:
    corners = np.array([square(10, 50, 2), square(np.nan, 50, 2)])
    first, second = geometries(corners)
    assert first is not None
    assert second is None
    assert np.isnan(bounds_of(np.array([second], dtype=object))).all()


def test_a_footprint_across_180_degrees_has_a_part_on_each_side() -> None:
    made = geometries(np.array([square(179, 10, 3)], dtype=np.float64))
    assert shapely.union_all([shapely.box(179, 10, 180, 13), shapely.box(-180, 10, -178, 13)]).equals(made[0])
    assert bounds_of(made).tolist() == [[179, 10, -178, 13]]


@pytest.mark.parametrize("side", [1, -1])
def test_a_footprint_around_a_pole_reaches_all_longitudes(side: int) -> None:
    corners = np.array([[[-180, 85], [-90, 85], [0, 85], [90, 85]]], dtype=np.float64)
    corners[..., 1] *= side
    made = geometries(corners)
    west, south, east, north = bounds_of(made)[0]
    assert (west, east) == (-180, 180)
    assert (north if side > 0 else south) == 90 * side
    assert shapely.is_valid(made[0])
    assert shapely.covers(made[0], shapely.Point(45, 89 * side))
    # The edge from 90 to 180 degrees is straight in a plane around the pole: nearest to it in its middle.
    assert not shapely.covers(made[0], shapely.Point(45, 85.1 * side))
