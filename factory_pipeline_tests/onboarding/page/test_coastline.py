"""Land on the maps, where it is on the Earth."""

import pytest
import shapely

from factory_pipeline.onboarding.page.coastline import land_within


def land(west: float, south: float, east: float, north: float) -> shapely.MultiPolygon:
    rings = land_within(west, south, east, north, 0.01)
    return shapely.make_valid(shapely.MultiPolygon([shapely.Polygon(ring) for ring in rings]))


@pytest.mark.parametrize(
    ("longitude", "latitude", "is_land"),
    [(2, 47, True), (-30, 40, False), (25, 0, True), (135, -25, True), (0, -89, True), (80, -10, False)],
)
def test_land_is_land_and_sea_is_sea(longitude: float, latitude: float, is_land: bool) -> None:
    window = land(longitude - 1, max(latitude - 1, -90), longitude + 1, latitude + 1)
    assert shapely.covers(window, shapely.Point(longitude, latitude)) == is_land


def test_a_window_across_180_degrees_goes_on_beyond_it() -> None:
    (west, _, east, _) = land(170, 60, 200, 75).bounds
    assert west == 170
    assert 185 < east <= 200
    # The same ground, seen from the other side.
    assert land(-190, 60, -160, 75).area == pytest.approx(land(170, 60, 200, 75).area)


def test_rings_are_closed() -> None:
    rings = land_within(-10, 35, 30, 60, 0.1)
    assert rings
    assert all(ring[0] == ring[-1] for ring in rings)
