"""Bands, data sources and categories of a manifest, as people write them."""

from typing import Any

import pytest
from pydantic import ValidationError

from factory_pipeline.onboarding.manifest.sections import DataSource, LabelCategory, require_different

CATEGORY = {"id": 1, "name": "Water", "color": "#1f78b4"}


def problem(model: type[DataSource | LabelCategory], document: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as raised:
        model.model_validate(document)
    return raised.value.errors()[0]["msg"]


def test_bands_may_be_names_alone() -> None:
    bands = DataSource.model_validate({"bands": ["B02", {"name": "B03", "RGB": "Green"}]}).bands
    assert [(band.index, band.band_name, band.rgb_band) for band in bands] == [
        (0, "B02", None),
        (1, "B03", "G"),
    ]
    assert bands[0].scaling_factor == 1


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        (["B02", "B02"], "bands have the band_name 'B02' 2 times"),
        ([{"name": "a", "index": 1}, "b"], "bands have the index 1 2 times"),
        ([{"name": "a", "rgb": "R"}, {"name": "b", "rgb": "red"}], "bands have the RGB_band 'R' 2 times"),
        ([{"name": "a", "scale": 0}], "greater than 0"),
    ],
)
def test_bands_are_apart(bands: list[Any], message: str) -> None:
    assert message in problem(DataSource, {"bands": bands})


@pytest.mark.parametrize(
    ("color", "expected"), [("#1F78B4", "#1f78b4"), ("1f78b4", "#1f78b4"), ("blue", "#0000ff")]
)
def test_colours_have_one_form(color: str, expected: str) -> None:
    assert LabelCategory.model_validate({**CATEGORY, "color": color}).color == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"color": None}, "for # starts a comment in YAML"),
        ({"color": 12}, "write it in quotes"),
        ({"color": "blurple"}, "allowed are '#rrggbb' and the names of HTML colours"),
        ({"opacity": "150%"}, "less than or equal to 1"),
        ({"id": 65536}, "less than or equal to 65535"),
    ],
)
def test_what_a_category_may_not_have_is_said(change: dict[str, Any], message: str) -> None:
    assert message in problem(LabelCategory, {**CATEGORY, **change})


def test_an_opacity_may_be_percent() -> None:
    assert LabelCategory.model_validate({**CATEGORY, "opacity": "60 %"}).opacity == pytest.approx(0.6)


def test_equal_values_are_counted() -> None:
    require_different("bands", "index", [0, 1])
    with pytest.raises(ValueError, match="bands have the index 3 3 times; each must have its own"):
        require_different("bands", "index", [3, 0, 3, 3])
