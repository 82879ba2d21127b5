"""Planes around pairs of footprints, against distances on the ellipsoid."""

import numpy as np
import pytest
import shapely
from pyproj import Geod

from factory_pipeline.imagery.local_planes import metres_per_degree, project_to_planes


def box(west: float, south: float) -> np.ndarray:
    """A footprint of a tenth of a degree."""
    return np.array([[[west, south + 0.1], [west + 0.1, south + 0.1], [west + 0.1, south], [west, south]]])


@pytest.mark.parametrize("latitude", [0.0, 48.0, -70.0, 85.0])
def test_distances_are_those_on_the_ellipsoid(latitude: float):
    one, other = project_to_planes(box(15.0, latitude), box(15.3, latitude))
    middle = latitude + 0.1 if abs(latitude) > 80 else latitude + 0.05
    _, _, expected = Geod(ellps="WGS84").inv(15.1, middle, 15.3, middle)
    assert shapely.distance(one, other)[0] == pytest.approx(expected, rel=2e-3)


def test_a_pair_across_180_degrees_is_together():
    one, other = project_to_planes(box(179.85, 10.0), box(-179.95, 10.0))
    assert shapely.distance(one, other)[0] == pytest.approx(10_950, rel=0.01)


def test_degrees_shrink_towards_the_pole():
    along, meridian = metres_per_degree(np.radians([0.0, 60.0])).T
    assert along == pytest.approx([111_320, 55_800], rel=1e-3)
    assert meridian == pytest.approx([110_574, 111_412], rel=1e-4)
