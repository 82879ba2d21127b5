"""The `filter` of a dataset: the annotations, time and location of items."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from factory_pipeline.datalake.query.spatial import parse_area, parse_box
from factory_pipeline.datalake.query.temporal import EXAMPLES, Span, parse_time
from factory_pipeline.errors import ArgumentError

ANNOTATION_TYPES = ("raw", "human", "machine")
"""Items without annotations, with annotations by people, with annotations by a model."""


def validate_filter(filter: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter as CQL2 JSON; `{}` if it has no condition.

    Args:
        filter: any of `annotation_types` (a list of ANNOTATION_TYPES, of which an item must match one),
            `from_date` and `to_date` (a day or a moment, both included; a day until its end), `bbox` (west,
            south, east, north in degrees; across 180 degrees if west is greater than east) and `geometry`
            (GeoJSON), which the geometry of an item must intersect. None, an empty text, list or mapping is
            no condition.

    Raises:
        ArgumentError: a key or a value is not allowed; the argument is named as in `filter.from_date`.
    """
    if not isinstance(filter, Mapping):
        raise ArgumentError(
            "filter", filter, f"a filter must be a mapping with any of {', '.join(_CONDITIONS)}"
        )
    for key in filter:
        if key not in _CONDITIONS:
            allowed = f"a filter has any of {', '.join(_CONDITIONS)}"
            raise ArgumentError(f"filter.{key}", filter[key], allowed)
    given = {key: filter[key] for key in _CONDITIONS if is_condition(filter.get(key))}
    conditions = [_CONDITIONS[key](value) for key, value in given.items()]
    if {"from_date", "to_date"} <= given.keys():
        _require_order(given["from_date"], given["to_date"])
    if len(conditions) < 2:
        return conditions[0] if conditions else {}
    return {"op": "and", "args": conditions}


def is_condition(value: Any) -> bool:
    """Return whether a value of a filter is a condition: None and empty values are not."""
    if isinstance(value, str):
        return bool(value.strip())
    return bool(value) if isinstance(value, list | tuple | Mapping) else value is not None


def _annotation_types(value: Any) -> dict[str, Any]:
    allowed = f"annotation_types must be a list of {', '.join(ANNOTATION_TYPES)}"
    if not isinstance(value, list | tuple):
        raise ArgumentError("filter.annotation_types", value, allowed)
    for index, one in enumerate(value):
        if one not in ANNOTATION_TYPES:
            raise ArgumentError(f"filter.annotation_types[{index}]", one, allowed)
    asked: dict[str, Any] = {"property": "annotation.source"}
    made_by = [source for source in ANNOTATION_TYPES if source in value and source != "raw"]
    conditions: list[dict[str, Any]] = [{"op": "in", "args": [asked, made_by]}] if made_by else []
    if "raw" in value:
        conditions.append({"op": "isNull", "args": [{"property": "annotation.type"}]})
    return conditions[0] if len(conditions) == 1 else {"op": "or", "args": conditions}


def _parse_from_date(value: Any) -> dict[str, Any]:
    _time("from_date", value)
    return {"op": ">=", "args": [{"property": "datetime"}, value]}


def _parse_to_date(value: Any) -> dict[str, Any]:
    _time("to_date", value)
    return {"op": "<=", "args": [{"property": "datetime"}, value]}


def _time(key: str, value: Any) -> Span:
    allowed = f"a date must be written as {EXAMPLES}"
    if not isinstance(value, str):
        raise ArgumentError(f"filter.{key}", value, allowed)
    try:
        return parse_time(value)
    except ValueError as error:
        raise ArgumentError(f"filter.{key}", value, allowed) from error


def _require_order(from_date: str, to_date: str) -> None:
    start, end = parse_time(from_date).start, parse_time(to_date).end
    if isinstance(start, datetime) and isinstance(end, datetime) and end < start:
        raise ArgumentError("filter.to_date", to_date, f"it must not be before from_date, {from_date!r}")


def _bbox(value: Any) -> dict[str, Any]:
    try:
        parse_box(value)
    except ValueError as error:
        raise ArgumentError("filter.bbox", value, str(error)) from error
    return {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": list(value)}]}


def _geometry(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ArgumentError(
            "filter.geometry", value, "a geometry must be a GeoJSON mapping with `type` and `coordinates`"
        )
    try:
        parse_area(value)
    except ValueError as error:
        raise ArgumentError("filter.geometry", value, str(error)) from error
    return {"op": "s_intersects", "args": [{"property": "geometry"}, dict(value)]}


_CONDITIONS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "annotation_types": _annotation_types,
    "from_date": _parse_from_date,
    "to_date": _parse_to_date,
    "bbox": _bbox,
    "geometry": _geometry,
}
