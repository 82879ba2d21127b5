"""Sources that would fail, or be wrong, only once imagery is read."""

from copy import deepcopy
from typing import Any

import pytest

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.errors import RecipeError

LABELS: dict[str, Any] = {
    "kind": "points",
    "path": "fields.csv",
    "time": {"column": "surveyed"},
    "target": {"column": "crop", "classes": {1: "Maize", 2: "Wheat"}},
}
S2: dict[str, Any] = {
    "collection": "sentinel-2-l2a",
    "assets": ["B02", "B03"],
    "time": {"around": "10d"},
}
DEM: dict[str, Any] = {"collection": "cop-dem-glo-30", "assets": ["data"]}


def recipe(sources: dict[str, Any], **window: Any) -> dict[str, Any]:
    return {
        "name": "crops",
        "labels": deepcopy(LABELS),
        "window": {"size": 64, "pixel_size": 10, **window},
        "sources": sources,
    }


def test_a_recipe_that_can_be_read_is_accepted() -> None:
    assert set(DatasetRecipe.parse(recipe({"sentinel2": S2, "dem": DEM}), "r").sources) == {
        "sentinel2",
        "dem",
    }


@pytest.mark.parametrize(
    ("sources", "window", "message"),
    [
        ({"Sentinel2": S2}, {}, "the name 'Sentinel2' must be of small letters"),
        ({"s2": {**S2, "time": None}}, {}, "At sources.s2.time: it is missing; items of sentinel-2-l2a have"),
        ({"dem": {**DEM, "max_cloud_cover": 20}}, {}, "items of cop-dem-glo-30 have no cloud cover"),
        ({"s2": {**S2, "assets": ["B02", "B02"]}}, {}, "At sources.s2.assets: an asset is named twice"),
        ({"s2": {**S2, "assets": ["B02", "B11"]}}, {}, "pixels of different size (10 m, 20 m)"),
        ({"s2": {**S2, "resampling": {"B11": "nearest"}}}, {}, "'B11' is neither an asset of the source"),
        ({"dem": DEM}, {"crs": {"grid": "den"}}, "there is no source 'den' (did you mean dem?)"),
        (
            {"s2": {**S2, "assets": ["SCL"], "resampling": {"SCL": "bilinear"}}},
            {},
            "SCL holds categories; they are resampled by nearest",
        ),
        ({"dem": {**DEM, "pixel_size": 30}}, {}, "the window of 640 m is not a whole number of such pixels"),
    ],
)
def test_the_key_and_what_is_allowed_are_named(
    sources: dict[str, Any], window: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as raised:
        DatasetRecipe.parse(recipe(sources, **window), "r")
    assert message in str(raised.value)
