"""What is decided once for a whole release."""

from typing import Any

import polars as pl
import pytest

from factory_pipeline.datalake.ingest.releases.decisions import (
    decide_coordinates,
    decide_ml_type,
    find_outside,
    has_stated_coordinates,
    misfits,
    odd_images,
    parse_ml_type,
)
from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates, MlType
from factory_pipeline.datalake.ingest.releases.placement import PlacedBy
from factory_pipeline.errors import OnboardingError

OUTLINE = next(kind for kind in PlacedBy if kind is not PlacedBy.NOTHING).name
SCHEMA = {"drawn": pl.String, "not_binary": pl.String, "not_zero": pl.String}


def facts(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {
        "label": "a.json",
        "drawn": None,
        "not_binary": None,
        "not_zero": None,
        "are_boxes": True,
        "fits_degrees": True,
        "fits_pixels": True,
        "placed_by": OUTLINE,
    }
    return pl.DataFrame([{**base, **row} for row in rows], schema_overrides=SCHEMA)


@pytest.mark.parametrize("text", ["Object Detection", "object-detection", " OBJECT_detection "])
def test_a_form_is_recognised_however_it_is_spelt(text: str) -> None:
    assert parse_ml_type(text) is MlType.OBJECT_DETECTION
    assert parse_ml_type("detection") is None


@pytest.mark.parametrize(
    ("row", "ml_type"),
    [
        ({"drawn": "tree"}, MlType.OBJECT_DETECTION),
        ({"drawn": "tree", "are_boxes": False}, MlType.SEGMENTATION),
        ({"not_binary": "height", "not_zero": "height"}, MlType.REGRESSION),
        ({"not_zero": "forest"}, MlType.CLASSIFICATION),
    ],
)
def test_the_form_follows_from_the_labels(row: dict[str, Any], ml_type: MlType) -> None:
    assert decide_ml_type({}, None, facts(row, {}), "r").value is ml_type
    assert misfits(facts(row, {}), ml_type) == []


def test_meta_json_decides_before_the_user_and_the_user_before_the_labels() -> None:
    drawn = facts({"drawn": "tree"})
    assert decide_ml_type({"mltype": "segmentation"}, MlType.REGRESSION, drawn, "r").value == "segmentation"
    assert decide_ml_type({}, MlType.REGRESSION, drawn, "r").value is MlType.REGRESSION
    with pytest.raises(OnboardingError, match=r"meta\.json has the mlType 'detection'; allowed are class"):
        decide_ml_type({"mlType": "detection"}, MlType.SEGMENTATION, drawn, "r")


def test_labels_of_another_form_are_named() -> None:
    mixed = facts({"label": "a.json", "drawn": "tree"}, {"label": "b.json", "not_zero": "age"})
    assert [str(each) for each in misfits(mixed, MlType.SEGMENTATION)] == [
        "b.json has a number as the label of 'age', which is no label for segmentation"
    ]
    assert [each.file for each in misfits(mixed, MlType.CLASSIFICATION)] == ["a.json"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"fits_pixels": False}, LabelCoordinates.GEOGRAPHIC),
        ({"fits_degrees": False}, LabelCoordinates.PIXEL),
    ],
)
def test_the_one_reading_that_fits_is_taken(row: dict[str, Any], expected: LabelCoordinates) -> None:
    assert decide_coordinates({}, None, facts({"drawn": "tree", **row}), "r").value is expected


def test_where_both_readings_fit_the_user_must_say() -> None:
    both = facts({"drawn": "tree"})
    with pytest.raises(OnboardingError, match="say which by --label-coordinates geographic or pixel"):
        decide_coordinates({}, None, both, "r")
    assert decide_coordinates({}, LabelCoordinates.PIXEL, both, "r").value is LabelCoordinates.PIXEL
    assert decide_coordinates({"label_coordinates": "geographic"}, None, both, "r").value == "geographic"
    assert has_stated_coordinates({"label_coordinates": "geographic"}, None)
    assert not has_stated_coordinates({"label_coordinates": "metres"}, None)


def test_files_of_both_readings_are_refused_by_name() -> None:
    mixed = facts(
        {"label": "a.json", "drawn": "tree", "fits_pixels": False},
        {"label": "b.json", "drawn": "tree", "fits_degrees": False},
    )
    with pytest.raises(OnboardingError) as raised:
        decide_coordinates({}, None, mixed, "r")
    assert "a.json has labels that are in its image in degrees only" in str(raised.value)
    assert "b.json has labels that are in its image in pixels only" in str(raised.value)


def test_images_without_outline_need_no_decision() -> None:
    unplaced = facts({"drawn": "tree", "placed_by": PlacedBy.NOTHING.name})
    assert decide_coordinates({}, None, unplaced, "r").value is LabelCoordinates.PIXEL


def test_a_label_outside_of_its_image_is_named() -> None:
    table = facts(
        {"label": "a.json", "fits_pixels": False},
        {"label": "b.json", "fits_degrees": False},
        {"label": "c.json", "fits_pixels": False, "placed_by": PlacedBy.NOTHING.name},
    )

    def outside(coordinates: LabelCoordinates | None) -> list[str]:
        return [each.file for each in find_outside(table, coordinates)]

    assert outside(None) == ["c.json"]
    assert outside(LabelCoordinates.PIXEL) == ["a.json", "c.json"]
    assert outside(LabelCoordinates.GEOGRAPHIC) == ["b.json", "c.json"]


def test_images_that_differ_from_most_are_named() -> None:
    rows = [
        {"image": f"{n}.tif", "stem": str(n), "width": 8, "height": 8, "bands": 3, "dtype": "uint8"}
        for n in range(3)
    ]
    rows[1]["bands"] = 4
    (odd,) = odd_images(pl.DataFrame(rows))
    assert str(odd) == (
        "1.tif has 8 x 8 pixels in 4 bands of uint8, most images have 8 x 8 pixels in 3 bands of uint8"
    )
    assert odd_images(pl.DataFrame(schema={"width": pl.Int64})) == []
