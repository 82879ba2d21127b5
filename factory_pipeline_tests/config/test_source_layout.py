"""What a sample shows of each source of a recipe."""

from typing import Any

import numpy as np
import pytest

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.source_layout import SourceLayout, sample_bytes, source_layouts

S2: dict[str, Any] = {
    "collection": "sentinel-2-l2a",
    "assets": ["B02", "B03", "B04"],
    "time": {"around": "9d"},
}
DEM: dict[str, Any] = {"collection": "cop-dem-glo-30", "assets": ["data"]}


def recipe_of(**sources: dict[str, Any]) -> DatasetRecipe:
    return DatasetRecipe.parse(
        {
            "name": "crops",
            "labels": {
                "kind": "points",
                "path": "fields.csv",
                "time": {"column": "surveyed"},
                "target": {"column": "crop", "classes": {1: "Maize", 2: "Wheat"}},
            },
            "window": {"size": 60, "pixel_size": 10},
            "sources": sources,
        },
        "r",
    )


def layouts(**sources: dict[str, Any]) -> dict[str, SourceLayout]:
    return {layout.name: layout for layout in source_layouts(recipe_of(**sources))}


def test_each_source_shows_the_ground_of_the_window_in_its_own_pixels() -> None:
    found = layouts(s2=S2, dem={**DEM, "pixel_size": 30})
    assert found["s2"].shape == (3, 60, 60)
    assert found["dem"].shape == (1, 20, 20)
    assert list(found) == ["s2", "dem"]


def test_steps_are_the_first_axis_and_all_are_needed_unless_the_source_says_fewer() -> None:
    periods = {"periods": 4, "length": "30d", "start": "-60d"}
    several = {**S2, "time": periods}
    found = layouts(a=several, b={**several, "min_periods": 2}, c={**several, "required": False})
    assert found["a"].shape == (4, 3, 60, 60)
    assert [found[name].fewest_steps for name in "abc"] == [4, 2, 0]


def test_stored_integers_keep_their_type_and_physical_values_are_floats() -> None:
    found = layouts(stored=S2, physical={**S2, "values": "physical"})
    assert found["stored"].dtype == np.uint16
    assert found["stored"].nodata == (0, 0, 0)
    assert found["physical"].dtype == np.float32
    assert np.isnan(found["physical"].nodata).all()
    assert found["physical"].scales == (1, 1, 1)
    assert found["physical"].offsets == (0, 0, 0)


def test_a_derived_band_is_last_with_its_unit() -> None:
    slope = layouts(dem={**DEM, "derive": ["slope"]})["dem"]
    assert slope.bands == ("data", "slope")
    assert slope.units == ("m", "%")
    assert slope.dtype == np.float32
    assert len(slope.scales) == len(slope.nodata) == 2


def test_classes_and_flags_have_no_unit() -> None:
    classes = layouts(s2={**S2, "assets": ["SCL"]})["s2"]
    assert classes.units == ("class",)


@pytest.mark.parametrize(("assets", "expected"), [(["B02", "B03", "B04"], (2, 1, 0)), (["B04", "B08"], None)])
def test_true_colour_needs_red_green_and_blue(assets: list[str], expected: tuple[int, ...] | None) -> None:
    assert layouts(s2={**S2, "assets": assets})["s2"].true_colour == expected


def test_a_sample_takes_the_pixels_and_masks_of_all_sources() -> None:
    monthly = {**S2, "time": {"start": "2021-01-01", "length": "30d", "periods": 4}}
    recipe = recipe_of(s2=monthly, dem={**DEM, "pixel_size": 20})
    assert sample_bytes(recipe) == 4 * 60**2 * (3 * 2 + 1) + 30**2 * (4 + 1)
