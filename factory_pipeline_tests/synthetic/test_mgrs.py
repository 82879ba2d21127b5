import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.synthetic.mgrs import MgrsTile, is_held, tiles_holding, to_utm, utm_epsg
from factory_pipeline_tests.examples import up_to


@pytest.mark.parametrize(
    ("lon", "lat", "name"),
    [
        (14.5, 48.6, "33UVP"),
        (15.5, 48.6, "33UWP"),
        (6.6, 0.3, "32NKF"),
        (-57.6, -5.5, "21MVP"),
        (51.45, 36.08, "39SWV"),
        (-75.5, 13.1, "18PVV"),
    ],
)
def test_square_is_named_as_in_the_military_grid(lon, lat, name):
    """Names as published in Sentinel-2's tiling grid."""
    (epsg,) = utm_epsg(np.array([lon]), np.array([lat])).tolist()
    x, y = to_utm(epsg, np.array([lon]), np.array([lat]))
    assert MgrsTile(epsg, int(x[0] // 100_000), int(y[0] // 100_000)).name == name


@settings(max_examples=up_to(50))
@given(lon=st.floats(-180, 179.99), lat=st.floats(-55, 55))
def test_every_place_is_held_with_its_window_by_some_tile(lon, lat):
    (epsg,) = utm_epsg(np.array([lon]), np.array([lat])).tolist()
    x, y = to_utm(epsg, np.array([lon]), np.array([lat]))
    tiles = tiles_holding(epsg, x, y, 170.0)
    assert 1 <= len(tiles) <= 4
    assert all(is_held(tile, x, y, 170.0).all() for tile in tiles)


def test_neighbours_overlap_by_nearly_ten_kilometres():
    west, east = MgrsTile(32633, 4, 53).grid(10), MgrsTile(32633, 5, 53).grid(10)
    assert west.bounds[2] - east.bounds[0] == 9_780
    assert (east.left - west.left) % 60 == 0


def test_real_items_lie_on_the_computed_grid(realdata):
    seen = 0
    for path in sorted((realdata / "stac_items").glob("pc__sentinel-2-l2a__*.json")):
        item = json.loads(path.read_text())
        name, epsg = item["properties"]["s2:mgrs_tile"], item["properties"]["proj:epsg"]
        _, _, left, _, _, top = item["assets"]["B02"]["proj:transform"]
        square = MgrsTile(epsg, round(left / 100_000), round(top / 100_000) - 1)
        assert (square.grid(10).left, square.grid(10).top) == (left, top)
        # The letters of a square that reaches over two latitude bands depend on its land; the rest doesn't.
        assert square.name[:2] + square.name[3:] == name[:2] + name[3:]
        seen += 1
    assert seen
