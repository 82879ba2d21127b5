"""UTM zones, with their exceptions, against PROJ's areas of use."""

import numpy as np
import pytest
from pyproj import CRS

from factory_pipeline.stac.utm_zones import utm_zone


@pytest.mark.parametrize(
    ("longitude", "latitude", "epsg"),
    [
        (15.0, 48.6, 32633),
        (14.999, 48.6, 32633),
        (-0.1, -33.0, 32730),
        (5.0, 60.0, 32632),
        (15.0, 78.0, 32633),
        (8.9, 78.0, 32631),
        (180.0, 10.0, 32660),
        (-180.0, 10.0, 32601),
    ],
)
def test_zones_and_their_exceptions(longitude: float, latitude: float, epsg: int):
    assert utm_zone(np.array([longitude]), np.array([latitude])).tolist() == [epsg]


def test_every_zone_is_where_proj_uses_it():
    longitude = np.arange(-177.0, 180, 6)
    for code, east in zip(utm_zone(longitude, np.full(60, 20.0)).tolist(), longitude.tolist(), strict=True):
        area = CRS.from_epsg(code).area_of_use
        assert area is not None
        assert area.west <= east <= area.east
