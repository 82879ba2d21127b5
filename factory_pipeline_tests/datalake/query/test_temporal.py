"""Days, moments and the spans between them."""

from datetime import UTC, datetime

import pytest

from factory_pipeline.datalake.query.temporal import (
    Span,
    parse_date,
    parse_interval,
    parse_time,
    parse_timestamp,
)

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
END_OF_IT = datetime(2024, 1, 1, 23, 59, 59, 999_999, UTC)


def test_a_day_is_whole() -> None:
    assert parse_date("2024-01-01") == parse_time("2024-01-01") == Span(NEW_YEAR, END_OF_IT)


@pytest.mark.parametrize(
    "text",
    ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01 00:00", "2024-01-01T02:00:00.000+02:00"],
)
def test_a_moment_is_in_utc_unless_it_has_an_offset(text: str) -> None:
    assert parse_timestamp(text) == parse_time(text) == Span(NEW_YEAR, NEW_YEAR)


def test_an_interval_goes_from_the_start_of_one_day_to_the_end_of_another() -> None:
    assert parse_interval("2023-12-31", "2024-01-01").end == END_OF_IT
    assert parse_interval("..", "2024-01-01") == Span(None, END_OF_IT)
    assert parse_interval("2024-01-01", "..") == Span(NEW_YEAR, None)
    assert parse_interval("2024-01-01", "2024-01-01") == Span(NEW_YEAR, END_OF_IT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2024",
        "2024-02-30",
        "20240101",
        "2024-W01-1",
        "2024-01-01T",
        "2024-01-01T25:00",
        "0001-01-01T00:00+14:00",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_time(text)


def test_an_interval_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="is before '2024-01-02'"):
        parse_interval("2024-01-02", "2024-01-01")
