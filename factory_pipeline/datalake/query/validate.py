"""Validating CQL2 JSON before any table is read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from factory_pipeline.datalake.query.operands import (
    DEEPEST,
    QueryError,
    describe_operand,
    has_property,
    kind_of,
    normalize_operand,
    require_fitting,
    require_one_table,
    span,
)
from factory_pipeline.datalake.query.queryables import ValueKind
from factory_pipeline.datalake.query.spatial import RELATIONS, parse_area
from factory_pipeline.datalake.query.temporal import EXAMPLES

COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
LOGIC = ("and", "or", "not")
TEMPORAL = ("t_before", "t_after", "t_during", "t_intersects", "t_equals", "t_disjoint")
CONDITIONS = (*LOGIC, *COMPARISONS, "isNull", "in", "between", "like", *RELATIONS, *TEMPORAL)
_SPELLED = {name.lower(): name for name in CONDITIONS} | {"!=": "<>"}
_TURNED = {
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
    "t_before": "t_after",
    "t_after": "t_before",
    "s_within": "s_contains",
    "s_contains": "s_within",
}
"""The operation with exchanged operands; those that are not here stay the same."""


def normalize_condition(node: Any, path: str = "", depth: int = 0) -> dict[str, Any]:
    """Normalize a condition in CQL2 JSON.

    Operations have the names of the standard, the property is on the left side, integers have no fraction.

    Args:
        node: the condition as parsed JSON.
        path: position of the condition in the query, for messages.
        depth: how many conditions it is nested in.

    Raises:
        QueryError: it is not a condition, or not one that is supported.
    """
    if depth > DEEPEST:
        raise QueryError(path, node, f"a query may be nested {DEEPEST} levels deep")
    if not isinstance(node, Mapping) or not isinstance(node.get("op"), str):
        raise QueryError(
            path, node, f"{describe_operand(node)} is not a condition such as metadata.Tags = 'water'"
        )
    operation = _SPELLED.get(node["op"].lower())
    if operation is None:
        known = ", ".join(CONDITIONS)
        raise QueryError(f"{path}.op", node["op"], f"`{node['op']}` is not a condition; allowed are {known}")
    arguments = node.get("args")
    if not isinstance(arguments, Sequence) or isinstance(arguments, str):
        raise QueryError(f"{path}.args", arguments, f"`{operation}` takes a list of arguments")
    if operation in LOGIC:
        return _logic(operation, arguments, path, depth)
    return _CHECKS[operation](operation, arguments, path)


def _logic(operation: str, arguments: Sequence[Any], path: str, depth: int) -> dict[str, Any]:
    if not arguments or (operation == "not" and len(arguments) > 1):
        takes = "one condition" if operation == "not" else "conditions"
        raise QueryError(f"{path}.args", arguments, f"`{operation}` takes {takes}")
    parts = [
        normalize_condition(part, f"{path}.args[{place}]", depth + 1) for place, part in enumerate(arguments)
    ]
    return {"op": operation, "args": parts}


def _comparison(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    left, right = _operands(operation, arguments, 2, path)
    if not has_property(left):
        left, right, operation = right, left, _TURNED.get(operation, operation)
    require_one_table((left, right), path)
    kind, other = kind_of(left), kind_of(right)
    if ValueKind.GEOMETRY in (kind, other):
        raise QueryError(path, left, f"geometry is compared by {', '.join(RELATIONS)}")
    if not has_property(right):
        _require_moment(right, path)
        require_fitting(left, right, path)
    elif kind and other and kind is not other and ValueKind.JSON not in (kind, other):
        raise QueryError(
            path, right, f"{describe_operand(left)} is {kind} and {describe_operand(right)} is {other}"
        )
    return {"op": operation, "args": [left, right]}


def _is_null(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    [asked] = _operands(operation, arguments, 1, path)
    if not isinstance(asked, Mapping) or "property" not in asked:
        raise QueryError(path, asked, f"`isNull` takes a property, and {describe_operand(asked)} is not one")
    return {"op": operation, "args": [asked]}


def _normalize_in(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    if len(arguments) != 2 or not isinstance(arguments[1], Sequence) or isinstance(arguments[1], str):
        raise QueryError(f"{path}.args", arguments, "`in` takes a property and a list of values")
    asked = normalize_operand(arguments[0], f"{path}.args[0]")
    values = [
        normalize_operand(value, f"{path}.args[1][{place}]") for place, value in enumerate(arguments[1])
    ]
    _require_values(operation, asked, values, path)
    return {"op": operation, "args": [asked, values]}


def _normalize_between(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    asked, *bounds = _operands(operation, arguments, 3, path)
    _require_values(operation, asked, bounds, path)
    return {"op": operation, "args": [asked, *bounds]}


def _normalize_like(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    asked, pattern = _operands(operation, arguments, 2, path)
    require_one_table((asked,), path)
    if (kind := kind_of(asked)) not in (None, ValueKind.TEXT, ValueKind.JSON):
        raise QueryError(path, asked, f"{describe_operand(asked)} is {kind}, and `like` is for texts")
    is_text = isinstance(pattern, str) or (isinstance(pattern, Mapping) and pattern.get("op") == "casei")
    if not is_text or has_property(pattern):
        raise QueryError(path, pattern, "`like` takes a property and a text in quotes, with % and _")
    return {"op": operation, "args": [asked, pattern]}


def _spatial(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    allowed = f"`{operation}` takes the property geometry and a geometry or a box"
    if len(arguments) != 2:
        raise QueryError(f"{path}.args", arguments, allowed)
    asked, place = arguments
    if asked != {"property": "geometry"}:
        asked, place, operation = place, asked, _TURNED.get(operation, operation)
    if asked != {"property": "geometry"} or not isinstance(place, Mapping) or "property" in place:
        raise QueryError(f"{path}.args", arguments, allowed)
    try:
        parse_area(place)
    except ValueError as error:
        raise QueryError(path, place, f"the area of `{operation}` is not valid: {error}") from error
    return {"op": operation, "args": [asked, place]}


def _temporal(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    left, right = _operands(operation, arguments, 2, path)
    if not has_property(left):
        left, right, operation = right, left, _TURNED.get(operation, operation)
        if operation == "t_during":
            raise QueryError(path, arguments, "`t_during` takes the property first, then the INTERVAL")
    allowed = (
        f"`{operation}` takes a property that contains a time, and a DATE, TIMESTAMP or INTERVAL of"
        f" {EXAMPLES}"
    )
    require_one_table((left,), path)
    if "property" not in left or kind_of(left) not in (None, ValueKind.TIME) or span(right) is None:
        raise QueryError(
            path,
            [left, right],
            f"{describe_operand(left)} and {describe_operand(right)} can't be compared; {allowed}",
        )
    return {"op": operation, "args": [left, right]}


_CHECKS: dict[str, Callable[[str, Sequence[Any], str], dict[str, Any]]] = {
    **dict.fromkeys(COMPARISONS, _comparison),
    "isNull": _is_null,
    "in": _normalize_in,
    "between": _normalize_between,
    "like": _normalize_like,
    **dict.fromkeys(RELATIONS, _spatial),
    **dict.fromkeys(TEMPORAL, _temporal),
}


def _operands(operation: str, arguments: Sequence[Any], count: int, path: str) -> list[Any]:
    if len(arguments) != count:
        message = f"`{operation}` takes {count} argument{'s' * (count > 1)}, not {len(arguments)}"
        raise QueryError(f"{path}.args", arguments, message)
    return [normalize_operand(part, f"{path}.args[{place}]") for place, part in enumerate(arguments)]


def _require_values(operation: str, asked: Any, values: Sequence[Any], path: str) -> None:
    require_one_table((asked,), path)
    if kind_of(asked) is ValueKind.GEOMETRY:
        raise QueryError(path, asked, f"geometry is compared by {', '.join(RELATIONS)}")
    for value in values:
        if has_property(value):
            raise QueryError(
                path,
                value,
                f"`{operation}` takes a property and values; {describe_operand(value)} is not a value",
            )
        _require_moment(value, path)
        require_fitting(asked, value, path)


def _require_moment(value: Any, path: str) -> None:
    if isinstance(value, Mapping) and "interval" in value:
        raise QueryError(path, value, f"an INTERVAL is for {', '.join(TEMPORAL)}")
