"""Queries as they are documented, evaluated on one item after the other: what polars must agree with.

An item is a mapping of its properties by name, with its annotations, mappings too, under `annotations`. The
query is CQL2 JSON as `parse_query` gives it.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import shapely

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
TICK = timedelta(microseconds=1)
Item = Mapping[str, Any]


def is_met(query: Mapping[str, Any], item: Item) -> bool:
    """Whether an item matches."""
    operation, arguments = query["op"], query["args"]
    if operation == "and":
        return all(is_met(part, item) for part in arguments)
    if operation == "or":
        return any(is_met(part, item) for part in arguments)
    if operation == "not":
        return not is_met(arguments[0], item)
    if operation.startswith("s_"):
        return _meets(operation, item["geometry"], arguments[1])
    if operation == "isNull":
        return not _values(arguments[0], item)
    if operation in ("<>", "t_disjoint"):
        equal = {"<>": "=", "t_disjoint": "t_intersects"}[operation]
        return _met_by_any(arguments, item, lambda *_: True) and not _met(equal, arguments, item)
    return _met(operation, arguments, item)


def _met(operation: str, arguments: Any, item: Item) -> bool:
    if operation == "in":
        return any(_met("=", [arguments[0], value], item) for value in arguments[1])
    if operation == "between":
        asked, low, high = arguments
        between = lambda one, _: _compare(">=", one, _literal(low)) and _compare("<=", one, _literal(high))  # noqa: E731
        return _met_by_any([asked, low], item, between)
    if operation == "like":
        return _met_by_any(arguments, item, _is_like)
    return _met_by_any(arguments, item, lambda one, other: _compare(operation, one, other))


def _met_by_any(arguments: Any, item: Item, condition: Callable[[Any, Any], bool]) -> bool:
    """Whether there is an annotation, or the item, or one value of a list, that meets a condition."""
    asked, other = arguments
    for row in _rows(asked, item):
        others = _of_row(other, row) if _has_property(other) else [_literal(other)]
        if any(condition(one, value) for one in _of_row(asked, row) for value in others):
            return True
    return False


def _values(operand: Any, item: Item) -> list[Any]:
    return [value for row in _rows(operand, item) for value in _of_row(operand, row)]


def _rows(operand: Any, item: Item) -> list[Item]:
    return item["annotations"] if "'annotation." in str(operand) else [item]


def _has_property(operand: Any) -> bool:
    return isinstance(operand, Mapping) and (
        "property" in operand or ("op" in operand and "property" in str(operand))
    )


def _of_row(operand: Any, row: Item) -> list[Any]:
    """All values that an operand has in a row: none, one, or those of a list."""
    match operand:
        case {"property": name}:
            value = row.get(name)
            values = value if isinstance(value, list) else [value]
            # A NaN, which is no value, is not even itself.
            return [one for one in values if one is not None and one == one]
        case {"op": "casei", "args": [inner]}:
            return [one.lower() if isinstance(one, str) else one for one in _of_row(inner, row)]
        case {"op": operation, "args": [left, right]}:
            sides = [_single_number(side, row) for side in (left, right)]
            return _calculated(operation, *sides)
    return [operand]


def _single_number(operand: Any, row: Item) -> float | None:
    if isinstance(operand, Mapping) and isinstance(row.get(operand.get("property", "")), list):
        return None
    found = [_as_number(one) for one in _of_row(operand, row)]
    return found[0] if found else None


def _calculated(operation: str, left: float | None, right: float | None) -> list[float]:
    if left is None or right is None or (operation == "/" and right == 0):
        return []
    values = {"+": left + right, "-": left - right, "*": left * right, "/": left / (right or 1)}
    return [values[operation]]


def _literal(operand: Any) -> Any:
    match operand:
        case {"op": "casei", "args": [text]}:
            return text.lower()
    return operand


def _compare(operation: str, one: Any, other: Any) -> bool:
    """One value of a row against a value of the query, or another of the row."""
    if isinstance(one, date):
        return _compare_times(operation, _span(one), _span(other))
    if isinstance(one, bool):
        return operation == "=" and str(other).lower() == str(one).lower()
    if isinstance(one, int | float | np.float32):
        other = np.float32(other) if isinstance(one, np.float32) and isinstance(other, float) else other
        number = _as_number(other)
        return number is not None and _ordered(operation, one, number)
    if not isinstance(one, str):
        return False
    if isinstance(other, bool):
        return operation == "=" and one.lower() == str(other).lower()
    if isinstance(other, str):
        return _ordered(operation, one, other)
    if not isinstance(other, int | float):
        return False
    if operation == "=" and not isinstance(one, Loose):
        return str(one) == str(other)
    number = _as_number(one)
    return number is not None and _ordered(operation, number, other)


class Loose(str):
    """A value in the JSON of an annotation, of which only the text is seen."""

    def lower(self) -> "Loose":
        return Loose(super().lower())


def _as_number(value: Any) -> Any:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return float(value) if NUMBER.fullmatch(value) else None
    return value if isinstance(value, int | float | np.float32) else None


def _ordered(operation: str, one: Any, other: Any) -> bool:
    match operation:
        case "=":
            return bool(one == other)
        case "<":
            return bool(one < other)
        case "<=":
            return bool(one <= other)
        case ">":
            return bool(one > other)
        case ">=":
            return bool(one >= other)
    return False


def _span(value: Any) -> tuple[datetime, datetime] | None:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return moment, moment
    if isinstance(value, date):
        start = datetime.combine(value, time(), UTC)
        return start, start + timedelta(days=1) - TICK
    if isinstance(value, Mapping) and "interval" in value:
        start, end = value["interval"]
        open_start, open_end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        return (
            open_start if start == ".." else _span(start)[0],
            open_end if end == ".." else _span(end)[1],
        )
    text = value.get("date") or value.get("timestamp") if isinstance(value, Mapping) else value
    if not isinstance(text, str):
        return None
    try:
        return _span(date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text))
    except ValueError:
        return None


def _compare_times(operation: str, one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    (first, last), (start, end) = one, other
    return {
        "=": start <= first and last <= end,
        "<": last < start,
        "t_before": last < start,
        ">": first > end,
        "t_after": first > end,
        "<=": last <= end,
        ">=": first >= start,
        "t_equals": (first, last) == (start, end),
        "t_during": start < first and last < end,
        "t_intersects": first <= end and start <= last,
    }[operation]


def _is_like(one: Any, pattern: str) -> bool:
    if not isinstance(one, str):
        return False
    expression = re.sub(
        r"\\(.)|(%)|(_)|([^%_\\])",
        lambda found: ".*" if found[2] else "." if found[3] else re.escape(found[1] or found[4]),
        pattern,
        flags=re.DOTALL,
    )
    return re.fullmatch(expression, one, re.DOTALL) is not None


def _meets(operation: str, wkb: bytes | None, place: Mapping[str, Any]) -> bool:
    if wkb is None:
        return False
    shape = shapely.from_wkb(wkb)
    return bool(getattr(shape, operation.removeprefix("s_"))(_geometry(place)))


def _geometry(place: Mapping[str, Any]) -> Any:
    if "bbox" not in place:
        return shapely.geometry.shape(place)
    west, south, east, north = place["bbox"]
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.unary_union([shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)])
