"""When labels hold: dates and times of any form, in UTC."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from factory_pipeline.builds.labels.label_times import count_times, read_times
from factory_pipeline.config.label_sources import TableLabels
from factory_pipeline.errors import RecipeError


def labels(path: str = "labels.csv", **time: Any) -> TableLabels:
    given: dict[str, Any] = {"path": path, "id": "id"}
    return TableLabels(**given, **({"time": time} if time else {}))


def test_a_date_is_from_its_first_to_its_last_moment() -> None:
    times = read_times(pl.DataFrame({"day": [date(2021, 6, 30)]}), labels(column="day"))
    assert times.start.to_list() == [datetime(2021, 6, 30, tzinfo=UTC)]
    assert times.end.to_list() == [datetime(2021, 6, 30, 23, 59, 59, 999999, tzinfo=UTC)]
    assert times.remarks == ()


def test_text_in_text_formats_is_dates_or_times() -> None:
    table = pl.DataFrame({"when": ["2021-06-30", "2021-06-30T12:00:00+02:00", None]})
    times = read_times(table, labels(column="when"))
    assert times.start.to_list() == [
        datetime(2021, 6, 30, tzinfo=UTC),
        datetime(2021, 6, 30, 10, tzinfo=UTC),
        None,
    ]
    assert times.missing.tolist() == [False, False, True]


def test_text_is_read_in_every_format() -> None:
    times = read_times(pl.DataFrame({"when": ["2021-06-30"]}), labels("labels.gpkg", column="when"))
    assert times.start.to_list() == [datetime(2021, 6, 30, tzinfo=UTC)]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_time_beyond_the_calendar_in_utc_is_none(text: str) -> None:
    assert count_times(pl.Series("when", [text])) == 0
    with pytest.raises(RecipeError, match=r"the column when has '.*' in row 1; allowed are dates"):
        read_times(pl.DataFrame({"when": [text]}), labels(column="when"))


def test_numbers_are_no_times() -> None:
    with pytest.raises(RecipeError, match="the column when is Int64, such as '3'; it must hold dates"):
        read_times(pl.DataFrame({"when": [3]}), labels(column="when"))


def test_time_zones_are_converted_and_reported() -> None:
    rome = pl.Series("start", [datetime(2021, 7, 1, 12)]).dt.replace_time_zone("Europe/Rome")
    table = pl.DataFrame([rome, pl.Series("end", [datetime(2021, 7, 2)])])
    times = read_times(table, labels(start="start", end="end"))
    assert times.start.to_list() == [datetime(2021, 7, 1, 10, tzinfo=UTC)]
    assert times.end.to_list() == [datetime(2021, 7, 2, tzinfo=UTC)]
    assert times.remarks == (
        "The times of the column start are converted from Europe/Rome to UTC.",
        "The times of the column end have no time zone and are read as UTC.",
    )


def test_a_label_must_not_end_before_it_starts() -> None:
    table = pl.DataFrame({"start": ["2021-01-01", "2021-02-02"], "end": ["2021-01-01", "2021-02-01"]})
    with pytest.raises(RecipeError, match="the label of row 2 ends before it starts"):
        read_times(table, labels(start="start", end="end"))


def test_without_times_any_time_will_do() -> None:
    times = read_times(pl.DataFrame({"id": ["a", "b"]}), labels())
    assert times.start.to_list() == times.end.to_list() == [None, None]
    assert not times.missing.any()


def test_one_span_may_hold_for_all() -> None:
    times = read_times(pl.DataFrame({"id": ["a", "b"]}), labels(between=["2021-01-01", "2021-12-31"]))
    assert times.start.to_list() == [datetime(2021, 1, 1, tzinfo=UTC)] * 2
    assert [end.date() for end in times.end] == [date(2021, 12, 31)] * 2


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["2021-06-30", None, "30.6.2021", "June"], "the column when has '30.6.2021' in row 3; allowed are"),
        (["in June", "in July"], "the column when has 'in June' in row 1; allowed are dates and times"),
        (["2021-06-30", "2021-06-31"], "the column when has '2021-06-31' in row 2"),
    ],
)
def test_text_that_is_no_date_is_told_with_its_row(values: list[str | None], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        read_times(pl.DataFrame({"when": values}), labels(column="when"))


def test_dates_in_text_are_counted() -> None:
    assert count_times(pl.Series(["2021-06-30", "2021-06-31", None, "2021-06-30T10:00:00Z", ""])) == 2
