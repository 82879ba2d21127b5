"""Times in a query: a moment, a full day, or the span between two of them, in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ].+")
EXAMPLES = "2024-01-31 or 2024-01-31T10:00:00Z"
OPEN = ".."


@dataclass(frozen=True)
class Span:
    """From `start` to `end`, both included, aware and in UTC; None for an open end."""

    start: datetime | None
    end: datetime | None


def parse_date(text: str) -> Span:
    """Parse a day such as 2024-01-31, as the span from its first to its last microsecond.

    Raises:
        ValueError: the text is not a day.
    """
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text!r} is not a date such as 2024-01-31")
    start = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Span(start, start + (timedelta(days=1) - timedelta.resolution))


def parse_timestamp(text: str) -> Span:
    """Parse a moment in ISO 8601, date and time; without an offset it is in UTC.

    Raises:
        ValueError: the text is not a moment.
    """
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is not a time such as 2024-01-31T10:00:00Z")
    moment = datetime.fromisoformat(text)
    try:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is before the year 1 or after 9999 in UTC") from None
    return Span(moment, moment)


def parse_time(text: str) -> Span:
    """Parse a day or a moment.

    Raises:
        ValueError: the text is neither.
    """
    return parse_date(text) if _DATE.fullmatch(text) else parse_timestamp(text)


def parse_interval(start: str, end: str) -> Span:
    """Return the span from the start of one day or time to the end of another; `..` is an open end.

    Args:
        start: a day or a time in ISO 8601, or `..`.
        end: the same; a day is included to its last microsecond.

    Raises:
        ValueError: one of them can't be read, or the end is before the start.
    """
    first = None if start == OPEN else parse_time(start).start
    last = None if end == OPEN else parse_time(end).end
    if first and last and first > last:
        raise ValueError(f"{end!r} is before {start!r}")
    return Span(first, last)
