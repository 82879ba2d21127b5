"""Which rasters a sample shows."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from factory_pipeline.config.raster_collection import AssetDescription
from factory_pipeline.config.raster_sources import Source, SourceTime, resampling_of


@pytest.mark.parametrize(
    ("document", "steps", "needs_label_time"),
    [
        ({"around": "10d"}, 1, True),
        ({"between": ["2021-01-01", "2021-12-31"]}, 1, False),
        ({"periods": 12, "length": "30d", "start": "-180d"}, 12, True),
        ({"periods": 4, "length": "30d", "start": "2021-01-01"}, 4, False),
    ],
)
def test_time_is_around_a_label_within_a_span_or_in_periods(
    document: dict[str, Any], steps: int, needs_label_time: bool
) -> None:
    time = SourceTime.model_validate(document)
    assert time.steps == steps
    assert time.needs_label_time is needs_label_time


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "give one of around, between, or periods"),
        ({"around": "10d", "between": ["2021-01-01", "2021-12-31"]}, "give one of around, between"),
        ({"periods": 3}, "periods need all of periods, length and start"),
        ({"around": "-10d"}, "around and length must not be negative"),
        ({"periods": 0, "length": "30d", "start": "-180d"}, "greater than or equal to 1"),
    ],
)
def test_times_that_contradict_are_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SourceTime.model_validate(document)


def test_a_length_of_time_may_be_in_days() -> None:
    assert SourceTime.model_validate({"around": "10d"}).around == timedelta(days=10)


def test_categories_are_resampled_by_nearest_and_others_as_the_source_says() -> None:
    numbers = AssetDescription(dtype="uint16", pixel_size=10)
    classes = AssetDescription(dtype="uint8", pixel_size=20, classes={4: "vegetation"})
    plain = Source(collection="a", assets=["B02", "SCL"])
    chosen = Source(
        collection="a", assets=["B02", "SCL"], resampling={"B02": "bilinear", "default": "nearest"}
    )
    assert resampling_of(plain, "B02", numbers) == "bilinear"
    assert resampling_of(plain, "SCL", classes) == "nearest"
    assert resampling_of(chosen, "B02", numbers) == "bilinear"
    assert resampling_of(chosen, "B03", numbers) == "nearest"
