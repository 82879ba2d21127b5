"""Compiling a query for given tables: conditions on items, and on their annotations."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from factory_pipeline.datalake.query.columns import Column, annotation_column, item_column
from factory_pipeline.datalake.query.comparisons import (
    NEVER,
    as_number,
    between,
    combine,
    compare_columns,
    compare_value,
    like,
    one_of,
)
from factory_pipeline.datalake.query.operands import describe_operand, has_property, properties_of
from factory_pipeline.datalake.query.queryables import ValueKind, is_of_annotation
from factory_pipeline.datalake.query.spatial import RELATIONS, boxes_meet, meets, parse_area
from factory_pipeline.errors import ArgumentError

Schema = Mapping[str, pl.DataType]


@dataclass(frozen=True, eq=False)
class ItemPredicate:
    """A condition on the row of an item."""

    predicate: pl.Expr
    near: pl.Expr | None = None
    """A cheaper condition that is true wherever the predicate is."""


@dataclass(frozen=True, eq=False)
class AnnotationPredicate:
    """The item has an annotation that meets a condition."""

    predicate: pl.Expr
    """Condition on the row of an annotation."""


@dataclass(frozen=True, eq=False)
class AllOf:
    """Every part is met."""

    parts: tuple["Tree", ...]


@dataclass(frozen=True, eq=False)
class AnyOf:
    """At least one part is met."""

    parts: tuple["Tree", ...]


@dataclass(frozen=True, eq=False)
class Not:
    """The part is not met: it is false, or unknown because the item lacks the property."""

    part: "Tree"


Tree = ItemPredicate | AnnotationPredicate | AllOf | AnyOf | Not

_ABSENCES = {"<>": "=", "t_disjoint": "t_intersects"}
"""Negations: each is true if there is a value for which the other is not."""
_CALCULATE: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@dataclass(frozen=True)
class TreeBuilder:
    """Builds trees for tables of these schemas."""

    items: Schema
    annotations: Schema | None
    """None if there are no annotations at all."""

    def build(self, node: Mapping[str, Any]) -> Tree:
        """Build the tree of a condition that `validate.normalize_condition` returned.

        Raises:
            ArgumentError: two properties are compared, and one of them contains lists.
        """
        operation, arguments = node["op"], node["args"]
        if operation == "and":
            return AllOf(tuple(self.build(part) for part in arguments))
        if operation == "or":
            return _combine_or([self.build(part) for part in arguments])
        if operation == "not":
            return Not(self.build(arguments[0]))
        if operation in RELATIONS:
            return self._place(operation, arguments[1])
        is_of_annotations = any(is_of_annotation(name) for name in properties_of(arguments[0]))
        if is_of_annotations and self.annotations is None:
            return Not(ItemPredicate(NEVER)) if operation == "isNull" else ItemPredicate(NEVER)
        found = AnnotationPredicate if is_of_annotations else ItemPredicate
        if operation == "isNull":
            return Not(found(self._require_present(arguments)))
        if operation in _ABSENCES:
            other = self._predicate(_ABSENCES[operation], arguments)
            return AllOf((found(self._require_present(arguments)), Not(found(other))))
        return found(self._predicate(operation, arguments))

    def _place(self, operation: str, literal: Mapping[str, Any]) -> Tree:
        if not {"bbox", "geometry"} <= self.items.keys():
            return ItemPredicate(NEVER)
        area, box = parse_area(literal), pl.col("bbox")
        near = None if operation == "s_disjoint" else boxes_meet(area, box)
        return ItemPredicate(meets(operation, area, box, pl.col("geometry")), near)

    def _require_present(self, arguments: Sequence[Any]) -> pl.Expr:
        columns = [self._column(one) for one in arguments if has_property(one)]
        return combine(operator.and_, [column.present if column else NEVER for column in columns])

    def _predicate(self, operation: str, arguments: Sequence[Any]) -> pl.Expr:
        asked = self._column(arguments[0])
        if asked is None:
            return NEVER
        match operation:
            case "in":
                return one_of(asked, [_value(one) for one in arguments[1]])
            case "between":
                return between(asked, _value(arguments[1]), _value(arguments[2]))
            case "like":
                return like(asked, _value(arguments[1]))
        if not has_property(arguments[1]):
            return compare_value(operation, asked, _value(arguments[1]))
        other = self._column(arguments[1])
        if other is None:
            return NEVER
        for side, column in zip(arguments, (asked, other), strict=True):
            if column.holds_lists:
                message = (
                    f"{describe_operand(side)} contains lists, and a list can only be compared with a value"
                )
                raise ArgumentError("query", describe_operand(side), message)
        return compare_columns(operation, asked, other)

    def _column(self, operand: Mapping[str, Any]) -> Column | None:
        match operand:
            case {"property": name} if is_of_annotation(name):
                return annotation_column(name, self.annotations or {})
            case {"property": name}:
                return item_column(name, self.items)
            case {"op": "casei", "args": [inner]}:
                return _lower_case(self._column(inner))
        left, right = (self._number(part) for part in operand["args"])
        if operand["op"] == "/":
            value = pl.when(right != 0).then(left / right)
        else:
            value = _CALCULATE[operand["op"]](left, right)
        return Column(value, ValueKind.NUMBER, pl.Float64())

    def _number(self, operand: Any) -> pl.Expr:
        """Return an operand of a calculation, as float; null if there is no number."""
        if not has_property(operand):
            return pl.lit(float(operand))
        column = self._column(operand)
        if column is None or column.holds_lists:
            return pl.lit(None, pl.Float64())
        return as_number(column).cast(pl.Float64)


def has_annotations(tree: Tree) -> bool:
    """Return whether a tree has a condition on annotations."""
    match tree:
        case AnnotationPredicate():
            return True
        case AllOf(parts) | AnyOf(parts):
            return any(has_annotations(part) for part in parts)
        case Not(part):
            return has_annotations(part)
    return False


def _combine_or(parts: list[Tree]) -> Tree:
    """Combine parts by `or`: conditions on one annotation each become one condition on an annotation."""
    found = [part.predicate for part in parts if isinstance(part, AnnotationPredicate)]
    others = [part for part in parts if not isinstance(part, AnnotationPredicate)]
    if not found:
        return AnyOf(tuple(others))
    exists = AnnotationPredicate(combine(operator.or_, found))
    return AnyOf((exists, *others)) if others else exists


def _lower_case(column: Column | None) -> Column | None:
    """Return texts in lower case; other values stay as they are."""
    if column is None or column.kind not in (ValueKind.TEXT, ValueKind.JSON):
        return column
    if column.holds_lists:
        lowered = column.expression.list.eval(pl.element().cast(pl.String).str.to_lowercase())
    else:
        lowered = column.expression.str.to_lowercase()
    return Column(lowered, column.kind, pl.String(), column.holds_lists)


def _value(literal: Any) -> Any:
    match literal:
        case {"op": "casei", "args": [str(text)]}:
            return text.lower()
    return literal
