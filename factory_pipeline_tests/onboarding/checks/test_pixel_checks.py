"""Whether pixels can be trained on, from a table of what was read."""

from typing import Any

import polars as pl

from factory_pipeline.onboarding.checks.file_contents import CONTENT_SCHEMA
from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL
from factory_pipeline.onboarding.checks.pixel_checks import (
    bands_filled,
    images_different,
    labels_filled,
    mask_values_known,
    pixel_checks,
    pixels_readable,
)
from factory_pipeline.onboarding.manifest.sections import LabelCategory

CATEGORIES = [LabelCategory(id=number, name=str(number), color="red") for number in (0, 1)]


def contents(**files: dict[str, Any]) -> pl.LazyFrame:
    """Rows of images and labels by name: one with `values` is a label."""
    rows = [
        dict.fromkeys(CONTENT_SCHEMA)
        | {"name": name, "role": LABEL if "values" in known else IMAGE, "empty_bands": []}
        | known
        for name, known in files.items()
    ]
    return pl.LazyFrame(rows, schema=CONTENT_SCHEMA)


def test_images_with_the_same_content_are_named_and_equal_labels_are_none() -> None:
    table = contents(
        a={"sha256": "x"}, b={"sha256": "y"}, c={"sha256": "x"}, m={"sha256": "x", "values": [1.0]}
    )
    assert images_different(table).files == ("a", "c")
    assert images_different(contents(a={}, b={})).passed


def test_a_band_without_data_is_named_with_its_number() -> None:
    check = bands_filled(contents(a={}, b={"empty_bands": [2]}, m={"values": [], "empty_bands": [0]}))
    assert check.files == ("b",)
    assert "have a band without any data (band 2 of the first): b." in check.message


def test_a_few_labels_may_be_empty_but_not_all() -> None:
    table = contents(m={"values": [255.0]}, n={"values": []})
    assert labels_filled(table).passed
    assert labels_filled(table).message == "Labels that contain data: 1."
    failed = labels_filled(table, label_nodata=255)
    assert failed.message == "All labels contain only no data: m, n."
    assert labels_filled(contents(a={})).passed


def test_values_without_a_category_are_named_with_their_files() -> None:
    table = contents(m={"values": [0.0, 7.0]}, n={"values": [1.0]}, o={"values": [255.0]})
    check = mask_values_known(table, CATEGORIES, label_nodata=255)
    assert check.files == ("m",)
    assert "without a label category: 7 (the categories are 0, 1;" in check.message
    assert mask_values_known(table, CATEGORIES).files == ("m", "o")


def test_damage_is_named_with_the_reason_of_the_first() -> None:
    check = pixels_readable(contents(b={"read_error": "later"}, a={"read_error": "its strip 3 is cut off"}))
    assert check.message == "Files that are truncated or damaged (its strip 3 is cut off): a, b."


def test_the_values_of_masks_are_checked_only_against_categories() -> None:
    names = [check.name for check in pixel_checks(contents(a={}), [])]
    assert names == ["pixels_readable", "images_different", "bands_filled", "labels_filled"]
    assert [check.name for check in pixel_checks(contents(a={}), CATEGORIES)] == [*names, "mask_values_known"]
