"""Validating the parameters of a STAC item search, and testing whether an item matches."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import shapely
import shapely.geometry

from factory_pipeline.stac.query import parse_time

DEFAULT_LIMIT = 250
LARGEST_LIMIT = 1000
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


class BadSearchError(ValueError):
    """A parameter of a search that is not allowed; the text is sent to the client."""


@dataclass(frozen=True)
class ItemSearch:
    """The parameters of a search, checked."""

    area: shapely.Geometry | None = None
    start: datetime | None = None
    end: datetime | None = None
    ids: tuple[str, ...] | None = None
    collections: tuple[str, ...] | None = None
    comparisons: tuple[tuple[str, str, float], ...] = ()
    """(property, one of COMPARISONS, number); all must hold."""
    limit: int = DEFAULT_LIMIT
    token: str | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Check the members of a search.

        Raises:
            BadSearchError: one is unknown, malformed or contradicts another.
        """
        known = {"bbox", "intersects", "datetime", "ids", "collections", "query", "limit", "token"}
        unknown = given.keys() - known
        if unknown:
            raise BadSearchError(f"{min(unknown)} is not supported; known are {', '.join(sorted(known))}")
        if given.get("bbox") is not None and given.get("intersects") is not None:
            raise BadSearchError("bbox and intersects exclude each other")
        area = _area_of_bbox(given["bbox"]) if given.get("bbox") is not None else None
        if given.get("intersects") is not None:
            area = _area_of_geometry(given["intersects"])
        start, end = _interval(given.get("datetime"))
        limit = DEFAULT_LIMIT if given.get("limit") is None else given["limit"]
        if not isinstance(limit, int) or not 1 <= limit <= LARGEST_LIMIT:
            raise BadSearchError(f"limit must be an integer of 1..{LARGEST_LIMIT}")
        if not isinstance(given.get("token", ""), str):
            raise BadSearchError("token must be a text")
        return cls(
            area,
            start,
            end,
            _names(given, "ids"),
            _names(given, "collections"),
            _comparisons(given.get("query") or {}),
            limit,
            given.get("token"),
        )

    def allows(self, collection: str, item: Mapping[str, Any], start: datetime, end: datetime) -> bool:
        """Return whether an item of a collection, whose time is start..end, fits; its geometry aside.

        Args:
            collection: its id.
            item: as JSON.
            start: of its time (UTC).
            end: of its time; the same for an instant.
        """
        properties = item["properties"]
        return (
            (self.collections is None or collection in self.collections)
            and (self.ids is None or item["id"] in self.ids)
            and (self.start is None or end >= self.start)
            and (self.end is None or start <= self.end)
            and all(
                _is_number(properties.get(name)) and COMPARISONS[comparison](properties[name], number)
                for name, comparison, number in self.comparisons
            )
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _area_of_bbox(given: Any) -> shapely.Geometry:
    if not isinstance(given, list) or len(given) not in (4, 6) or not all(map(_is_number, given)):
        raise BadSearchError("bbox must hold 4 or 6 numbers")
    west, south, east, north = given if len(given) == 4 else (*given[:2], *given[3:5])
    if south > north:
        raise BadSearchError("bbox: the south lies above the north")
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union(shapely.box(west, south, 180, north), shapely.box(-180, south, east, north))


def _area_of_geometry(given: Any) -> shapely.Geometry:
    try:
        area = shapely.geometry.shape(given)
    except (AttributeError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
        raise BadSearchError("intersects must be a GeoJSON geometry") from error
    if area.is_empty or not area.is_valid:
        raise BadSearchError("intersects must be a valid geometry that is not empty")
    return area


def _interval(given: Any) -> tuple[datetime | None, datetime | None]:
    if given is None:
        return None, None
    ends = given.split("/") if isinstance(given, str) else []
    ends = ends * 2 if len(ends) == 1 else ends
    if len(ends) != 2 or set(ends) <= {"", ".."}:
        raise BadSearchError("datetime must be a time, or start/end of which one may be '..'")
    if not all(re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ].+([Zz]|[+-]\d\d:\d\d)|\.\.|", end) for end in ends):
        raise BadSearchError("datetime: times are given in RFC 3339, such as 2020-06-01T00:00:00Z")
    try:
        start, end = (None if text in ("", "..") else parse_time(text) for text in ends)
    except ValueError as error:
        raise BadSearchError(f"datetime: {error}") from error
    if start and end and start > end:
        raise BadSearchError("datetime: the start lies after the end")
    return start, end


def _names(given: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    names = given.get(key)
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise BadSearchError(f"{key} must be a list of names")
    return tuple(names) if names else None


def _comparisons(given: Any) -> tuple[tuple[str, str, float], ...]:
    if not isinstance(given, dict) or not all(isinstance(asked, dict) for asked in given.values()):
        raise BadSearchError("query must map properties to comparisons, such as {'gsd': {'lt': 20}}")
    comparisons = [(name, key, number) for name, asked in given.items() for key, number in asked.items()]
    for name, key, number in comparisons:
        if key not in COMPARISONS or not _is_number(number):
            raise BadSearchError(f"query: {name} may be compared with a number by {', '.join(COMPARISONS)}")
    return tuple(comparisons)
