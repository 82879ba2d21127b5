"""What a search for items asks: where and when.

No search asks for a cloud cover: a catalog would leave out the newest processing of a scene where that is
cloudier than the one before, and the older would be chosen. The limit holds for the newest processings.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees, within -180..180 and with west <= east."""


@dataclass(frozen=True)
class ItemQuery:
    """One search within a collection."""

    bbox: Box
    """The geometry of an item touches this box."""
    start: datetime | None = None
    """Aware; an item's time, or time range, touches start..end, both included. None: any time."""
    end: datetime | None = None

    @property
    def interval(self) -> str | None:
        """The closed interval `start/end` in RFC 3339, None for any time."""
        if self.start is None or self.end is None:
            return None
        return f"{rfc3339(self.start)}/{rfc3339(self.end)}"


def rfc3339(time: datetime) -> str:
    """Return an aware time in UTC, with microseconds only where it has some, ending in Z."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time, as an aware datetime in UTC; a time without an offset is in UTC.

    Raises:
        ValueError: the text is no such time.
    """
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def item_times(item: dict[str, Any]) -> tuple[datetime, datetime]:
    """First and last time of an item: equal for an instant, a range where `datetime` is null.

    Raises:
        KeyError: the item has neither `datetime` nor a complete range.
        ValueError: a time can't be read.
    """
    properties = item["properties"]
    if properties.get("datetime"):
        time = parse_time(properties["datetime"])
        return time, time
    return parse_time(properties["start_datetime"]), parse_time(properties["end_datetime"])
