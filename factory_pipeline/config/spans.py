"""Lengths and spans of time as recipes write them."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, model_validator

from factory_pipeline.config.recipe import Section

_UNITS = {"d": 86_400.0, "h": 3600.0}
_DURATION = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([dh])")
_ISO_DURATION = re.compile(r"-?P\d|-?PT\d")
"""As JSON holds it: `P10D`."""


def _duration(value: Any) -> Any:
    """`10d`, `6h`, or a number of days."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(days=value)
    if isinstance(value, timedelta) or (isinstance(value, str) and _ISO_DURATION.match(value)):
        return value
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a length of time is written as 10d (days) or 6h (hours)")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def _moment(value: Any) -> Any:
    """A date or a time as an aware time in UTC; a date is its first moment."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("a time is written as 2021-06-30 or 2021-06-30T10:00:00Z") from None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else value


def _moment_or_offset(value: Any) -> Any:
    """A moment, or a length of time from the label's own."""
    is_length = isinstance(value, str) and (_DURATION.fullmatch(value.strip()) or _ISO_DURATION.match(value))
    if is_length or isinstance(value, timedelta):
        return _duration(value)
    return _moment(value)


def _end(value: Any) -> Any:
    """As `_moment`; a date includes its whole day."""
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    is_day |= isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value.strip()) is not None
    moment = _moment(value)
    return moment + timedelta(days=1, microseconds=-1) if is_day else moment


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
End = Annotated[datetime, BeforeValidator(_end)]
MomentOrOffset = Annotated[datetime | timedelta, BeforeValidator(_moment_or_offset)]


class Period(Section):
    """A span of time; of a date the whole day belongs to it."""

    start: Moment
    end: End

    @model_validator(mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        return dict(zip(("start", "end"), value, strict=True)) if is_pair(value) else value

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"the end {self.end:%Y-%m-%d} is before the start {self.start:%Y-%m-%d}")
        return self


def is_pair(value: Any) -> bool:
    """Whether something is two things."""
    return isinstance(value, list | tuple) and len(value) == 2
