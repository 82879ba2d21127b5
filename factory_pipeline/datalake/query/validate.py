"""Whether CQL2 in JSON is a query that can be answered, before any table is read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from factory_pipeline.datalake.query.operands import (
    DEEPEST,
    QueryError,
    checked_operand,
    kind_of,
    names_property,
    require_fitting,
    require_one_table,
    said,
    span,
)
from factory_pipeline.datalake.query.queryables import ValueKind
from factory_pipeline.datalake.query.spatial import RELATIONS, parse_place
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
"""What an operation is with its sides changed; those that are not here stay as they are."""


def checked(node: Any, path: str = "", depth: int = 0) -> dict[str, Any]:
    """A condition in CQL2 JSON in one way of writing: names of operations as the standard has them, the
    property on the left side, whole numbers without a fraction.

    Raises:
        QueryError: it is no condition, or none that can be answered.
    """
    if depth > DEEPEST:
        raise QueryError(path, node, f"a query may be nested {DEEPEST} levels deep")
    if not isinstance(node, Mapping) or not isinstance(node.get("op"), str):
        raise QueryError(path, node, f"{said(node)} is no condition such as metadata.Tags = 'water'")
    operation = _SPELLED.get(node["op"].lower())
    if operation is None:
        known = ", ".join(CONDITIONS)
        raise QueryError(f"{path}.op", node["op"], f"`{node['op']}` is no condition; there are {known}")
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
    parts = [checked(part, f"{path}.args[{place}]", depth + 1) for place, part in enumerate(arguments)]
    return {"op": operation, "args": parts}


def _comparison(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    left, right = _operands(operation, arguments, 2, path)
    if not names_property(left):
        left, right, operation = right, left, _TURNED.get(operation, operation)
    require_one_table((left, right), path)
    kind, other = kind_of(left), kind_of(right)
    if ValueKind.GEOMETRY in (kind, other):
        raise QueryError(path, left, f"geometry is compared by {', '.join(RELATIONS)}")
    if not names_property(right):
        _require_moment(right, path)
        require_fitting(left, right, path)
    elif kind and other and kind is not other and ValueKind.JSON not in (kind, other):
        raise QueryError(path, right, f"{said(left)} is {kind} and {said(right)} is {other}")
    return {"op": operation, "args": [left, right]}


def _is_null(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    [asked] = _operands(operation, arguments, 1, path)
    if not isinstance(asked, Mapping) or "property" not in asked:
        raise QueryError(path, asked, f"`isNull` takes a property, and {said(asked)} is none")
    return {"op": operation, "args": [asked]}


def _in(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    if len(arguments) != 2 or not isinstance(arguments[1], Sequence) or isinstance(arguments[1], str):
        raise QueryError(f"{path}.args", arguments, "`in` takes a property and a list of values")
    asked = checked_operand(arguments[0], f"{path}.args[0]")
    values = [checked_operand(value, f"{path}.args[1][{place}]") for place, value in enumerate(arguments[1])]
    _require_values(operation, asked, values, path)
    return {"op": operation, "args": [asked, values]}


def _between(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    asked, *bounds = _operands(operation, arguments, 3, path)
    _require_values(operation, asked, bounds, path)
    return {"op": operation, "args": [asked, *bounds]}


def _like(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    asked, pattern = _operands(operation, arguments, 2, path)
    require_one_table((asked,), path)
    if (kind := kind_of(asked)) not in (None, ValueKind.TEXT, ValueKind.JSON):
        raise QueryError(path, asked, f"{said(asked)} is {kind}, and `like` is for texts")
    is_text = isinstance(pattern, str) or (isinstance(pattern, Mapping) and pattern.get("op") == "casei")
    if not is_text or names_property(pattern):
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
        parse_place(place)
    except ValueError as error:
        raise QueryError(path, place, f"the place of `{operation}` can't be used: {error}") from error
    return {"op": operation, "args": [asked, place]}


def _temporal(operation: str, arguments: Sequence[Any], path: str) -> dict[str, Any]:
    left, right = _operands(operation, arguments, 2, path)
    if not names_property(left):
        left, right, operation = right, left, _TURNED.get(operation, operation)
        if operation == "t_during":
            raise QueryError(path, arguments, "`t_during` takes the property first, then the INTERVAL")
    allowed = (
        f"`{operation}` takes a property that holds a time, and a DATE, TIMESTAMP or INTERVAL of {EXAMPLES}"
    )
    require_one_table((left,), path)
    if "property" not in left or kind_of(left) not in (None, ValueKind.TIME) or span(right) is None:
        raise QueryError(path, [left, right], f"{said(left)} and {said(right)} don't fit; {allowed}")
    return {"op": operation, "args": [left, right]}


_CHECKS: dict[str, Callable[[str, Sequence[Any], str], dict[str, Any]]] = {
    **dict.fromkeys(COMPARISONS, _comparison),
    "isNull": _is_null,
    "in": _in,
    "between": _between,
    "like": _like,
    **dict.fromkeys(RELATIONS, _spatial),
    **dict.fromkeys(TEMPORAL, _temporal),
}


def _operands(operation: str, arguments: Sequence[Any], count: int, path: str) -> list[Any]:
    if len(arguments) != count:
        message = f"`{operation}` takes {count} argument{'s' * (count > 1)}, and here are {len(arguments)}"
        raise QueryError(f"{path}.args", arguments, message)
    return [checked_operand(part, f"{path}.args[{place}]") for place, part in enumerate(arguments)]


def _require_values(operation: str, asked: Any, values: Sequence[Any], path: str) -> None:
    require_one_table((asked,), path)
    if kind_of(asked) is ValueKind.GEOMETRY:
        raise QueryError(path, asked, f"geometry is compared by {', '.join(RELATIONS)}")
    for value in values:
        if names_property(value):
            raise QueryError(path, value, f"`{operation}` takes a property and values; {said(value)} is none")
        _require_moment(value, path)
        require_fitting(asked, value, path)


def _require_moment(value: Any, path: str) -> None:
    if isinstance(value, Mapping) and "interval" in value:
        raise QueryError(path, value, f"an INTERVAL is for {', '.join(TEMPORAL)}")
