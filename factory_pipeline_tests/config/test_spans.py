"""Lengths and spans of time of recipes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from factory_pipeline.config.spans import Duration, MomentOrOffset, Period

DAY = datetime(2021, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "length"),
    [
        ("10d", timedelta(days=10)),
        ("-6h", timedelta(hours=-6)),
        (1.5, timedelta(hours=36)),
        ("P2D", timedelta(2)),
    ],
)
def test_lengths_are_days_or_hours(written: Any, length: timedelta):
    assert TypeAdapter(Duration).validate_python(written) == length


@pytest.mark.parametrize("written", ["10", "ten days", "3w", True])
def test_other_lengths_are_refused(written: Any):
    with pytest.raises(ValidationError, match="10d"):
        TypeAdapter(Duration).validate_python(written)


def test_a_day_belongs_to_a_period_as_a_whole():
    period = Period.model_validate(["2021-06-30", "2021-06-30"])
    assert (period.start, period.end) == (DAY, DAY + timedelta(days=1, microseconds=-1))
    with pytest.raises(ValidationError, match="before the start"):
        Period.model_validate(["2021-06-30", "2021-06-29"])


def test_a_moment_is_in_utc_and_an_offset_stays_a_length():
    read = TypeAdapter(MomentOrOffset).validate_python
    assert read("2021-06-30T02:00:00+02:00") == DAY
    assert read("-5d") == timedelta(days=-5)
