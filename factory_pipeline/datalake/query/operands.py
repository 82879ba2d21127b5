"""The operands of a condition in CQL2 JSON: properties, values, functions and calculations."""

import re
import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from factory_pipeline.datalake.query.queryables import (
    ANNOTATION_KINDS,
    ANNOTATION_PREFIX,
    PROPERTIES,
    ValueKind,
    is_of_annotation,
    is_property,
    known_kind,
)
from factory_pipeline.datalake.query.temporal import (
    EXAMPLES,
    Span,
    parse_date,
    parse_interval,
    parse_time,
    parse_timestamp,
)
from factory_pipeline.datalake.tables.schemas import METADATA_PREFIX

DEEPEST = 50
"""Levels of nesting that a query may have."""
NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?"
"""A number as JSON writes it."""
CALCULATIONS = ("+", "-", "*", "/")
FUNCTIONS = ("casei", *CALCULATIONS)
TIMES = ("date", "timestamp", "interval")
_TEXTS = (None, ValueKind.TEXT, ValueKind.JSON)
_NUMBERS = (None, ValueKind.NUMBER, ValueKind.JSON)


class QueryError(Exception):
    """A part of a query that is not valid."""

    def __init__(self, path: str, part: Any, allowed: str) -> None:
        """Store the position.

        Args:
            path: keys that lead to it, such as `.args[0]`.
            part: the part that is not valid.
            allowed: what is wrong and what is allowed, as the end of a sentence.
        """
        super().__init__(allowed)
        self.path = path
        self.part = part
        self.allowed = allowed


def normalize_operand(node: Any, path: str, depth: int = 0) -> Any:
    """Normalize an operand of a condition.

    Args:
        node: the operand as parsed JSON.
        path: position of the operand in the query, for messages.
        depth: how many calculations it is nested in.

    Raises:
        QueryError: it is not an operand, or not one that is supported.
    """
    if isinstance(node, str | bool):
        return node
    if isinstance(node, int | float):
        return _number(node, path)
    if node is None:
        raise QueryError(path, node, "null is not a value; `is null` tests whether a property is missing")
    if not isinstance(node, Mapping):
        raise QueryError(path, node, "a property or a value is expected")
    if "property" in node:
        return _property(node, path)
    if "op" in node:
        return _function(node, path, depth)
    if any(key in node for key in TIMES):
        return _time(node, path)
    raise QueryError(path, node, "a property, a text, a number, a date or a timestamp is expected")


def properties_of(operand: Any) -> list[str]:
    """Return the names of the properties in an operand."""
    match operand:
        case {"property": name}:
            return [name]
        case {"op": _, "args": parts}:
            return [name for part in parts for name in properties_of(part)]
    return []


def has_property(operand: Any) -> bool:
    """Return whether an operand contains a property, so that it is not the same for all items."""
    return bool(properties_of(operand))


def require_one_table(operands: Sequence[Any], path: str) -> None:
    """Require that all properties of a condition are of an item, or all of an annotation.

    Args:
        operands: of the condition, as CQL2 JSON.
        path: of the condition in the query, for the message.

    Raises:
        QueryError: the operands have no property, or properties of both.
    """
    properties = [name for operand in operands for name in properties_of(operand)]
    if not properties:
        message = f"a condition needs a property; allowed are {PROPERTIES}"
        raise QueryError(path, list(operands), message)
    if len({is_of_annotation(name) for name in properties}) > 1:
        named = " and ".join(f"`{name}`" for name in properties)
        message = f"{named} can't be in one condition, as one is of the item and one of an annotation"
        raise QueryError(path, list(operands), message)


def kind_of(operand: Any) -> ValueKind | None:
    """Return the kind of an operand with a property; None if only the tables define it, and for a value."""
    match operand:
        case {"property": name}:
            return known_kind(name)
        case {"op": "casei"}:
            return ValueKind.TEXT
        case {"op": _}:
            return ValueKind.NUMBER
    return None


def require_fitting(asked: Any, value: Any, path: str) -> None:
    """Require that a value can be compared with a property.

    Args:
        asked: the property, as CQL2 JSON.
        value: a literal, as CQL2 JSON.
        path: of the condition in the query, for the message.

    Raises:
        QueryError: the property's values are known to be of another kind.
    """
    kind = kind_of(asked)
    is_time = isinstance(value, Mapping) and "op" not in value
    if kind is ValueKind.TIME and span(value) is None:
        message = (
            f"{describe_operand(value)} is not a time such as {EXAMPLES}; in CQL2 text it is written"
            " DATE('2024-01-31')"
        )
        raise QueryError(path, value, message)
    if kind is ValueKind.NUMBER and not _is_number(value):
        message = f"{describe_operand(asked)} is a number, and {describe_operand(value)} is not"
        if isinstance(value, str) and is_property(value):
            message += f"; to compare it with that property, write ({value})"
        raise QueryError(path, value, message)
    if kind in (ValueKind.TEXT, ValueKind.JSON) and is_time:
        raise QueryError(
            path, value, f"{describe_operand(asked)} is {kind}, and {describe_operand(value)} a time"
        )


def number(text: str) -> int | float | None:
    """Parse a text as a number in JSON; None if it is not a number, or not finite."""
    found = re.fullmatch(NUMBER, text)
    if found is None or not isfinite(float(text)):
        return None
    return float(text) if found[2] or found[3] else int(text)


def span(literal: Any) -> Span | None:
    """Return the time of a value; None if it is not a time.

    Args:
        literal: a text, number or boolean, or `{"date": ...}`, `{"timestamp": ...}`, `{"interval": [...]}`.
    """
    try:
        match literal:
            case str():
                return parse_time(literal)
            case {"date": str(text)}:
                return parse_date(text)
            case {"timestamp": str(text)}:
                return parse_timestamp(text)
            case {"interval": [str(start), str(end)]}:
                return parse_interval(start, end)
    except ValueError:
        return None
    return None


def describe_operand(operand: Any) -> str:
    """Return an operand as messages show it."""
    match operand:
        case {"property": name}:
            return f"`{name}`"
        case {"op": "casei", "args": [inner]}:
            return f"casei({describe_operand(inner)})"
        case {"op": operation, "args": [left, right]}:
            return f"{describe_operand(left)} {operation} {describe_operand(right)}"
        case str() | bool() | int() | float():
            return repr(operand)
        case {"date": text} | {"timestamp": text} | {"interval": text}:
            return repr(text)
    return "this"


def _number(value: int | float, path: str) -> int | float:
    if not abs(value) <= sys.float_info.max:
        raise QueryError(path, value, f"a number must be within +-{sys.float_info.max:.1e}")
    return int(value) if value == int(value) else value


def _property(node: Mapping[str, Any], path: str) -> dict[str, Any]:
    name = node["property"]
    if not isinstance(name, str) or not is_property(name):
        prefix = ANNOTATION_PREFIX if f"{ANNOTATION_PREFIX}{name}" in ANNOTATION_KINDS else METADATA_PREFIX
        guess = f"did you mean {prefix}{name}, or '{name}' in quotes?"
        message = f"`{name}` is not a property; allowed are {PROPERTIES} ({guess})"
        raise QueryError(path, name, message)
    return {"property": name}


def _function(node: Mapping[str, Any], path: str, depth: int) -> dict[str, Any]:
    operation, arguments = str(node["op"]).lower(), node.get("args")
    if operation not in FUNCTIONS:
        message = f"`{node['op']}` is not supported; allowed are {', '.join(FUNCTIONS)}"
        raise QueryError(f"{path}.op", node["op"], message)
    if depth > DEEPEST:
        raise QueryError(path, node, f"a calculation may be nested {DEEPEST} levels deep")
    count = 1 if operation == "casei" else 2
    if not isinstance(arguments, Sequence) or isinstance(arguments, str) or len(arguments) != count:
        raise QueryError(
            f"{path}.args", arguments, f"`{operation}` takes {count} argument{'s' * (count > 1)}"
        )
    parts = [
        normalize_operand(part, f"{path}.args[{index}]", depth + 1) for index, part in enumerate(arguments)
    ]
    function = {"op": operation, "args": parts}
    if operation == "casei":
        [part] = parts
        if not isinstance(part, str) and ("property" not in part or kind_of(part) not in _TEXTS):
            raise QueryError(path, part, "`casei` takes a text or a property that contains one")
        return function
    if not has_property(function):
        message = (
            f"{describe_operand(function)} is a calculation without a property; a date is written"
            " DATE('2024-01-31')"
        )
        raise QueryError(path, function, message)
    for part in parts:
        if kind_of(part) not in _NUMBERS or not (has_property(part) or _is_number(part)):
            raise QueryError(
                path, part, f"{describe_operand(part)} is not a number, so nothing can be calculated with it"
            )
    return function


def _time(node: Mapping[str, Any], path: str) -> dict[str, Any]:
    if span(node) is None:
        key = next(key for key in TIMES if key in node)
        allowed = {
            "date": "a date is a day such as 2024-01-31",
            "timestamp": "a timestamp is a moment such as 2024-01-31T10:00:00Z",
            "interval": f"an interval is two of {EXAMPLES}, the later one second, or `..` for an open end",
        }
        raise QueryError(path, node[key], f"{describe_operand(node)} can't be read; {allowed[key]}")
    return dict(node)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return number(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)
