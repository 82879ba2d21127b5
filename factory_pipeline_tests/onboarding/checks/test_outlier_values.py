"""A value far from all others looks like undeclared no data."""

import numpy as np
import polars as pl
import pytest

from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL
from factory_pipeline.onboarding.checks.outlier_values import (
    EXTREMES,
    Extremes,
    extremes_of,
    merge_extremes,
    no_value_stands_out,
)

VALUES = np.array([-9999, -9999, 3, 7, 65535, 65535, 65535], dtype=np.float32)


def contents(*bands: np.ndarray, role: str = IMAGE) -> pl.LazyFrame:
    extremes = [vars(one) if (one := extremes_of(band)) else None for band in bands]
    return pl.LazyFrame(
        {"role": [role], "suffix": [".tif"], "extremes": [extremes]},
        schema_overrides={"extremes": pl.List(EXTREMES)},
    )


def test_extremes_have_their_neighbours_where_they_may_be_no_data() -> None:
    assert extremes_of(VALUES) == Extremes(-9999, 2, 3, 65535, 3, 7)
    assert extremes_of(np.array([1, 2])) == Extremes(1, 0, None, 2, 0, None)
    assert extremes_of(np.array([], dtype=np.int16)) is None
    assert extremes_of(np.array([True])) is None


@pytest.mark.parametrize("at", range(1, len(VALUES)))
def test_two_parts_have_the_extremes_of_all(at: int) -> None:
    assert merge_extremes(extremes_of(VALUES[:at]), extremes_of(VALUES[at:])) == extremes_of(VALUES)


def test_a_part_without_valid_pixels_changes_nothing() -> None:
    assert merge_extremes(None, extremes_of(VALUES)) == merge_extremes(extremes_of(VALUES), None)
    assert merge_extremes(None, None) is None


def test_a_negative_number_and_a_mark_are_reported_with_their_bands() -> None:
    check = no_value_stands_out(contents(np.arange(9), VALUES, VALUES), labels_are_classes=False)
    assert not check.passed
    assert "The value -9999 is far from all others of the images that end in '.tif' (bands 1, 2; the" in (
        check.message
    )
    assert "The value 65535 is far" in check.message


@pytest.mark.parametrize(
    "band",
    [
        np.array([-9999, 3, 7]),  # a single pixel may be a wrong measurement
        np.array([-40, -40, -39, 20]),  # others are as negative
        np.array([-0.5, -0.5, 3]),  # not an integer
        np.array([65535, 65535, 65000, 3]),  # others are as high
    ],
)
def test_values_near_others_are_measurements(band: np.ndarray) -> None:
    assert no_value_stands_out(contents(band), labels_are_classes=False).passed


def test_labels_are_told_how_to_declare_it_unless_they_are_classes() -> None:
    labels = contents(VALUES, role=LABEL)
    assert (
        "set it as label_nodata in the manifest"
        in no_value_stands_out(labels, labels_are_classes=False).message
    )
    assert no_value_stands_out(labels, labels_are_classes=True).passed
