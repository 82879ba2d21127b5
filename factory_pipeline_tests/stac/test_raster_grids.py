"""The grid of an asset, from the fields of the projection extension."""

from typing import Any

import pytest

from factory_pipeline.cog.grid import Grid
from factory_pipeline.stac.raster_grids import bounds_of, grid_of, ten_metre_grid

TRANSFORM = [10.0, 0.0, 600_000.0, 0.0, -10.0, 5_400_000.0]
GRID = Grid(32633, 600_000.0, 5_400_000.0, 10.0, 10.0, 30, 20)
ASSET: dict[str, Any] = {"proj:code": "EPSG:32633", "proj:shape": [20, 30], "proj:transform": TRANSFORM}


def item(asset: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """An item with one band."""
    return {"properties": properties, "assets": {"B02": asset}, "bbox": [14.9, 48.5, 15.1, 48.7]}


def test_fields_of_the_asset_count_before_those_of_the_item():
    assert grid_of(item(ASSET, **{"proj:code": "EPSG:32632"}), ASSET) == GRID
    bare = {key: value for key, value in ASSET.items() if key != "proj:code"}
    assert grid_of(item(bare, **{"proj:code": "EPSG:32633"}), bare) == GRID


def test_a_box_and_a_shape_are_enough():
    asset = {
        "proj:epsg": 32633,
        "proj:shape": [20, 30],
        "proj:bbox": [600_000.0, 5_399_800.0, 600_300.0, 5_400_000.0],
    }
    assert grid_of(item(asset), asset) == GRID


@pytest.mark.parametrize(
    "change",
    [
        {"proj:shape": None},
        {"proj:shape": [0, 30]},
        {"proj:code": None},
        {"proj:transform": [10.0, 1.0, 0.0, 0.0, -10.0, 0.0]},
    ],
)
def test_a_grid_that_is_not_told_or_not_north_up_is_none(change: dict[str, Any]):
    asset = ASSET | change
    assert grid_of(item(asset), asset) is None


def test_the_grid_of_ten_metres_is_that_of_a_band():
    assert ten_metre_grid(item(ASSET)) == GRID
    assert ten_metre_grid(item(ASSET | {"proj:transform": [20.0, 0, 0, 0, -20.0, 0]})) is None


def test_bounds_in_degrees_are_the_asset_s_or_the_item_s():
    degrees = ASSET | {"proj:code": "EPSG:4326", "proj:transform": [0.1, 0, 10.0, 0, -0.1, 50.0]}
    assert bounds_of(item(degrees), degrees) == pytest.approx((10.0, 48.0, 13.0, 50.0))
    assert bounds_of(item(ASSET), ASSET) == pytest.approx((14.9, 48.5, 15.1, 48.7))
