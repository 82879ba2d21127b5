"""When labels hold: times of their columns in UTC."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.config.label_sources import TableLabels
from factory_pipeline.errors import RecipeError

_TIME = pl.Datetime("us", "UTC")
_LAST_MOMENT = timedelta(days=1, microseconds=-1)


@dataclass(frozen=True)
class LabelTimes:
    """The time of each label."""

    start: pl.Series
    """UTC; null where any time will do, or where it is missing."""
    end: pl.Series
    """UTC; of a date its last moment."""
    missing: NDArray[np.bool_]
    """(labels,) True where a label should have a time and has none."""
    remarks: tuple[str, ...]
    """On time zones."""


def read_times(columns: pl.DataFrame, labels: TableLabels) -> LabelTimes:
    """Read the times of labels; those with a time zone are converted to UTC.

    Args:
        columns: of the table, as read.
        labels: which columns hold times.

    Raises:
        RecipeError: a column holds no times, or a label ends before it starts.
    """
    height, rule = columns.height, labels.time
    if rule is None:
        nothing = pl.Series([None] * height, dtype=_TIME)
        return LabelTimes(nothing, nothing, np.zeros(height, np.bool_), ())
    if rule.between is not None:
        start = pl.Series([rule.between.start] * height, dtype=_TIME)
        end = pl.Series([rule.between.end] * height, dtype=_TIME)
        return LabelTimes(start, end, np.zeros(height, np.bool_), ())
    first, last = rule.column or rule.start, rule.column or rule.end
    assert first is not None
    assert last is not None
    start, end = _moments(columns[first])[0], _moments(columns[last])[1]
    missing = (start.is_null() | end.is_null()).to_numpy()
    wrong = (start > end).fill_null(False)
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise RecipeError(f"At labels.time: the label of row {row + 1} ends before it starts.")
    remarks = dict.fromkeys(
        remark for name in (first, last) if (remark := _remark(columns[name], name)) is not None
    )
    return LabelTimes(start, end, missing, tuple(remarks))


def _moments(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return first and last moment of each time; they differ where it is a date."""
    if column.dtype == pl.String:
        column = parse_times(column)
    if column.dtype == pl.Date:
        start = column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return start, start + _LAST_MOMENT
    if isinstance(column.dtype, pl.Datetime):
        zoned = column.dtype.time_zone is not None
        moment = column.dt.convert_time_zone("UTC") if zoned else column.dt.replace_time_zone("UTC")
        moment = moment.cast(_TIME)
        return moment, moment
    if column.dtype == pl.Null:
        nothing = column.cast(_TIME)
        return nothing, nothing
    raise RecipeError(
        f"At labels.time: the column {column.name} is {column.dtype}{_example(column)}; it must hold dates or"
        " times."
    )


def parse_times(column: pl.Series) -> pl.Series:
    """Return text in ISO 8601 as dates, or as times where one of them is a time.

    Args:
        column: of text.

    Raises:
        RecipeError: a value is neither; the message has the first such one and its row.
    """
    values: list[date | datetime | None] = []
    for row, text in enumerate(column, start=1):
        try:
            values.append(None if text is None else _value(text))
        except (ValueError, OverflowError):
            raise RecipeError(
                f"At labels.time: the column {column.name} has {text!r} in row {row}; allowed are dates and"
                " times as 2021-06-30 and 2021-06-30T10:00:00Z, and nothing where a label has none."
            ) from None
    if all(type(value) is date for value in values if value is not None):
        return pl.Series(column.name, values, dtype=pl.Date)
    moments = [
        datetime(value.year, value.month, value.day, tzinfo=UTC) if type(value) is date else value
        for value in values
    ]
    return pl.Series(column.name, moments, dtype=_TIME)


def count_times(column: pl.Series) -> int:
    """Return how many values of a column of text are dates or times in ISO 8601."""
    return sum(text is not None and _is_time(text) for text in column)


def _is_time(text: str) -> bool:
    try:
        _value(text)
    except (ValueError, OverflowError):
        return False
    return True


def _value(text: str) -> date | datetime:
    """Return a date or a time in UTC.

    Raises:
        ValueError: the text is neither.
        OverflowError: it is of the first or the last year, and in UTC of another one.
    """
    text = text.strip()
    if len(text) == len("2021-06-30"):
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _example(column: pl.Series) -> str:
    known = column.drop_nulls()
    return f", such as {str(known[0])!r}" if len(known) else ""


def _remark(column: pl.Series, name: str) -> str | None:
    if isinstance(column.dtype, pl.Datetime):
        zone = column.dtype.time_zone
        if zone is None:
            return f"The times of the column {name} have no time zone and are read as UTC."
        if zone != "UTC":
            return f"The times of the column {name} are converted from {zone} to UTC."
    return None
