"""Places on the edge of two UTM zones."""

from datetime import UTC, datetime

import pytest

from factory_pipeline.stac.projection import to_degrees
from factory_pipeline.synthetic.samples.places import SIERRA, VENETO, Place, day


@pytest.mark.parametrize("place", [VENETO, SIERRA])
def test_both_zones_have_the_place(place: Place) -> None:
    west, east = place.zones
    assert east == west + 1
    for zone in place.zones:
        grid = place.grid(zone, -500, 500, 1000, 1000, 10)
        x, y = grid.left + 500, grid.top - 500
        longitude, latitude = to_degrees(zone, x, y)
        assert longitude == pytest.approx(place.longitude, abs=2e-4)
        assert latitude == pytest.approx(place.latitude, abs=2e-4)


def test_a_tile_starts_on_a_multiple_of_its_pixels_and_covers_what_was_asked() -> None:
    grid = VENETO.grid(32632, -505, 505, 1000, 600, 20)
    assert grid.left % 20 == grid.top % 20 == 0
    assert grid.shape == (30, 50)
    x, y = VENETO._metres(32632)
    assert x - 505 - 20 < grid.left <= x - 505
    assert y + 505 <= grid.top < y + 505 + 20


def test_offsets_are_metres_east_and_north() -> None:
    (here, north) = VENETO.degrees([(0, 0), (0, 1000)])
    assert here == pytest.approx((12.0, 45.5), abs=1e-9)
    assert north[1] - here[1] == pytest.approx(0.009, abs=2e-4)


def test_a_day_has_an_hour_in_utc() -> None:
    assert day("2021-06-30", 7) == datetime(2021, 6, 30, 7, tzinfo=UTC)
