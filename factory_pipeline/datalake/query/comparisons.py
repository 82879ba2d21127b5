"""Conditions on columns as polars expressions; null, which counts as false, if a row has no value."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from factory_pipeline.datalake.query.columns import Column
from factory_pipeline.datalake.query.operands import NUMBER, number, span
from factory_pipeline.datalake.query.queryables import ValueKind

Value = str | int | float | bool | dict[str, Any]
"""A value in CQL2 JSON."""
NEVER = pl.lit(False)
EXACT = 2**53
"""From here on, floats can't represent every integer."""
_LARGEST = 2**64
_TEXTS = (ValueKind.TEXT, ValueKind.JSON)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare_value(operation: str, asked: Column, value: Value) -> pl.Expr:
    """Compare a property with a value; False if they can't be compared, such as a number with a word.

    Args:
        operation: one of = < <= > >= or a temporal one except `t_disjoint`.
        asked: the property.
        value: in CQL2 JSON. Against a day, < is before its start and <= up to its end.
    """
    return asked.any(lambda one: _compare_one(operation, one, value))


def between(asked: Column, low: Value, high: Value) -> pl.Expr:
    """Return whether a value is between two others, or is one of them.

    Args:
        asked: the property; of a list, one value must be.
        low: the smallest value, included.
        high: the largest value, included.
    """
    return asked.any(lambda one: _compare_one(">=", one, low) & _compare_one("<=", one, high))


def one_of(asked: Column, values: Sequence[Value]) -> pl.Expr:
    """Return whether a value is one of many.

    Args:
        asked: the property; of a list, one value must be.
        values: the allowed ones; none allows nothing.
    """
    listed = _to_list(asked, values)
    if listed is not None:
        return asked.any(lambda one: one.expression.is_in(listed.implode()))
    return combine(operator.or_, [compare_value("=", asked, value) for value in values])


def like(asked: Column, pattern: str) -> pl.Expr:
    """Return whether a text matches a pattern: % is any characters, _ is one, a backslash escapes them.

    Args:
        asked: the property; one that is not a text never matches.
        pattern: must match the entire text.
    """
    if asked.kind not in _TEXTS:
        return NEVER
    expected = _to_regex(pattern)
    return asked.any(lambda one: one.expression.str.contains(expected))


def compare_columns(operation: str, left: Column, right: Column) -> pl.Expr:
    """Compare two properties, neither of which is a list.

    Args:
        operation: a key of `_COMPARE`, such as `<=`.
        left: the first property.
        right: the second property.

    Returns:
        A Boolean expression; False where the values are of kinds that can't be compared.
    """
    one, other = left.expression, right.expression
    if left.kind is ValueKind.TIME and right.kind is ValueKind.TIME:
        return _relate_times(operation, left.ends, right.ends)
    if left.kind is ValueKind.NUMBER or right.kind is ValueKind.NUMBER:
        found = _COMPARE[operation](as_number(left), as_number(right))
        return found & left.is_number() & right.is_number()
    if left.kind in _TEXTS and right.kind in _TEXTS:
        return _COMPARE[operation](one, other)
    if left.kind is right.kind is ValueKind.BOOLEAN and operation == "=":
        return one == other
    return NEVER


def as_number(asked: Column) -> pl.Expr:
    """Return the number in a column; null if it has none."""
    if asked.kind is ValueKind.NUMBER:
        return asked.expression
    if asked.kind not in _TEXTS:
        return pl.lit(None, pl.Float64())
    written = asked.expression.str.contains(f"^(?:{NUMBER})$")
    return pl.when(written).then(asked.expression.cast(pl.Float64, strict=False))


def combine(operation: Callable[[Any, Any], Any], parts: Sequence[pl.Expr]) -> pl.Expr:
    """Combine all parts by `and` or `or`, as a shallow tree: polars recurses over an expression.

    Args:
        operation: `operator.and_` or `operator.or_`.
        parts: Boolean expressions; without any the result is NEVER.
    """
    if not parts:
        return NEVER
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return operation(combine(operation, parts[:half]), combine(operation, parts[half:]))


def _compare_one(operation: str, one: Column, value: Value) -> pl.Expr:
    if one.kind is ValueKind.TIME:
        time = span(value)
        if time is None:
            return NEVER
        start, end = (None if moment is None else pl.lit(moment) for moment in (time.start, time.end))
        return _relate_times(operation, one.ends, (start, end))
    if operation not in _COMPARE or isinstance(value, dict):
        return NEVER
    if one.kind is ValueKind.NUMBER:
        return _number_compared(operation, one, value)
    if one.kind is ValueKind.BOOLEAN:
        is_same = operation == "=" and str(value).lower() in ("true", "false")
        return one.expression == (str(value).lower() == "true") if is_same else NEVER
    return _text_compared(operation, one, value) if one.kind in _TEXTS else NEVER


def _number_compared(operation: str, one: Column, value: str | float) -> pl.Expr:
    asked = number(value) if isinstance(value, str) else value
    if asked is None or isinstance(asked, bool):
        return NEVER
    found = _COMPARE[operation](one.expression, asked if abs(asked) < _LARGEST else float(asked))
    # Only upwards, so that the statistics of Parquet files can still be used for all other comparisons.
    return found & one.is_number() if operation.startswith(">") and one.dtype.is_float() else found


def _text_compared(operation: str, one: Column, value: str | float) -> pl.Expr:
    if isinstance(value, bool):
        return one.expression.str.to_lowercase() == str(value).lower() if operation == "=" else NEVER
    if isinstance(value, str):
        return _COMPARE[operation](one.expression, value)
    if operation == "=" and (one.kind is ValueKind.TEXT or abs(value) >= EXACT):
        return one.expression == str(value)
    return _COMPARE[operation](as_number(one), float(value))


def _relate_times(
    operation: str,
    asked: tuple[pl.Expr, pl.Expr],
    other: tuple[pl.Expr | None, pl.Expr | None],
) -> pl.Expr:
    """Compare times by Allen's relations as in CQL2.

    A day or an interval is from its first to its last moment.

    Args:
        operation: a comparison, or a temporal one except `t_disjoint`.
        asked: first and last moment of a property.
        other: first and last moment of the value; None is open.
    """
    (first, last), (start, end) = asked, other
    bounds: list[tuple[pl.Expr, str, pl.Expr | None]]
    match operation:
        case "<" | "t_before":
            bounds = [(last, "<", start)]
        case ">" | "t_after":
            bounds = [(first, ">", end)]
        case "<=":
            bounds = [(last, "<=", end)]
        case ">=":
            bounds = [(first, ">=", start)]
        case "=":
            bounds = [(first, ">=", start), (last, "<=", end)]
        case "t_equals":
            bounds = [(first, "=", start), (last, "=", end)]
        case "t_during":
            bounds = [(first, ">", start), (last, "<", end)]
        case _:
            bounds = [(first, "<=", end), (last, ">=", start)]
    if operation in ("t_during", "t_intersects"):
        met = [_COMPARE[how](moment, bound) for moment, how, bound in bounds if bound is not None]
        return combine(operator.and_, met or [first.is_not_null()])
    if any(bound is None for _, _, bound in bounds):
        return NEVER
    return combine(operator.and_, [_COMPARE[how](moment, bound) for moment, how, bound in bounds])


def _to_list(asked: Column, values: Sequence[Value]) -> pl.Series | None:
    """Return the values in the dtype of the property, if a plain test of equality is exact for them."""
    if asked.kind is ValueKind.TEXT and not any(isinstance(value, bool) for value in values):
        return pl.Series([str(value) for value in values if not isinstance(value, dict)], dtype=pl.String)
    if asked.kind is not ValueKind.NUMBER or isinstance(asked.dtype, pl.Decimal):
        return None
    written = [number(value) if isinstance(value, str) else value for value in values]
    numbers = [value for value in written if isinstance(value, int | float) and not isinstance(value, bool)]
    if asked.dtype.is_float():
        return pl.Series([float(value) for value in numbers], dtype=pl.Float64).cast(asked.dtype)
    whole = [int(value) for value in numbers if abs(value) < _LARGEST and value == int(value)]
    return pl.Series(whole, dtype=pl.Int128).cast(asked.dtype, strict=False).drop_nulls()


def _to_regex(pattern: str) -> str:
    parts, characters = [], iter(pattern)
    for character in characters:
        if character == "\\":
            parts.append(pl.escape_regex(next(characters, "\\")))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or pl.escape_regex(character))
    return f"(?s)^{''.join(parts)}$"
