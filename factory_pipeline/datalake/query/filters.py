"""The `filter` of a dataset: which annotations an item has, its time and its place."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from factory_pipeline.datalake.query.spatial import parse_box, parse_place
from factory_pipeline.datalake.query.temporal import EXAMPLES, Span, parse_time
from factory_pipeline.errors import ArgumentError

ANNOTATION_TYPES = ("raw", "human", "machine")
"""Items without annotations, with some that people made, with some that a model made."""


def validate_filter(filter: Mapping[str, Any]) -> dict[str, Any]:
    """What a filter asks, as CQL2 JSON; `{}` where it asks for nothing.

    Args:
        filter: any of `annotation_types` (a list of ANNOTATION_TYPES, of which an item is to fit one),
            `from_date` and `to_date` (a day or a moment, both included; a day is included as a whole), `bbox`
            (west, south, east, north in degrees; across 180 degrees where west is greater than east) and
            `geometry` (GeoJSON), which the geometry of an item is to meet. None, an empty text, list or
            mapping asks for nothing.

    Raises:
        ArgumentError: a key or a value is not allowed; the argument is named as in `filter.from_date`.
    """
    if not isinstance(filter, Mapping):
        raise ArgumentError("filter", filter, f"a filter is a mapping with any of {', '.join(_CONDITIONS)}")
    for key in filter:
        if key not in _CONDITIONS:
            allowed = f"a filter has any of {', '.join(_CONDITIONS)}"
            raise ArgumentError(f"filter.{key}", filter[key], allowed)
    given = {key: filter[key] for key in _CONDITIONS if asks(filter.get(key))}
    conditions = [_CONDITIONS[key](value) for key, value in given.items()]
    if {"from_date", "to_date"} <= given.keys():
        _require_order(given["from_date"], given["to_date"])
    if len(conditions) < 2:
        return conditions[0] if conditions else {}
    return {"op": "and", "args": conditions}


def asks(value: Any) -> bool:
    """Whether a value of a filter asks for anything: None and what is empty do not."""
    if isinstance(value, str):
        return bool(value.strip())
    return bool(value) if isinstance(value, list | tuple | Mapping) else value is not None


def _annotation_types(value: Any) -> dict[str, Any]:
    allowed = f"annotation_types is a list of {', '.join(ANNOTATION_TYPES)}"
    if not isinstance(value, list | tuple):
        raise ArgumentError("filter.annotation_types", value, allowed)
    for place, one in enumerate(value):
        if one not in ANNOTATION_TYPES:
            raise ArgumentError(f"filter.annotation_types[{place}]", one, allowed)
    asked: dict[str, Any] = {"property": "annotation.source"}
    made_by = [source for source in ANNOTATION_TYPES if source in value and source != "raw"]
    conditions: list[dict[str, Any]] = [{"op": "in", "args": [asked, made_by]}] if made_by else []
    if "raw" in value:
        conditions.append({"op": "isNull", "args": [{"property": "annotation.type"}]})
    return conditions[0] if len(conditions) == 1 else {"op": "or", "args": conditions}


def _from_date(value: Any) -> dict[str, Any]:
    _time("from_date", value)
    return {"op": ">=", "args": [{"property": "datetime"}, value]}


def _to_date(value: Any) -> dict[str, Any]:
    _time("to_date", value)
    return {"op": "<=", "args": [{"property": "datetime"}, value]}


def _time(key: str, value: Any) -> Span:
    allowed = f"a date is written as in {EXAMPLES}"
    if not isinstance(value, str):
        raise ArgumentError(f"filter.{key}", value, allowed)
    try:
        return parse_time(value)
    except ValueError as error:
        raise ArgumentError(f"filter.{key}", value, allowed) from error


def _require_order(from_date: str, to_date: str) -> None:
    start, end = parse_time(from_date).start, parse_time(to_date).end
    if isinstance(start, datetime) and isinstance(end, datetime) and end < start:
        raise ArgumentError(
            "filter.to_date", to_date, f"the last time is not before from_date, {from_date!r}"
        )


def _bbox(value: Any) -> dict[str, Any]:
    try:
        parse_box(value)
    except ValueError as error:
        raise ArgumentError("filter.bbox", value, str(error)) from error
    return {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": list(value)}]}


def _geometry(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ArgumentError(
            "filter.geometry", value, "a geometry is a GeoJSON mapping with `type` and `coordinates`"
        )
    try:
        parse_place(value)
    except ValueError as error:
        raise ArgumentError("filter.geometry", value, str(error)) from error
    return {"op": "s_intersects", "args": [{"property": "geometry"}, dict(value)]}


_CONDITIONS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "annotation_types": _annotation_types,
    "from_date": _from_date,
    "to_date": _to_date,
    "bbox": _bbox,
    "geometry": _geometry,
}
