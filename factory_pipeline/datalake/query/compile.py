"""A query over given tables: conditions on items, and on which annotations they have."""

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
    compared,
    compared_columns,
    joined,
    like,
    one_of,
)
from factory_pipeline.datalake.query.operands import names_property, properties_of, said
from factory_pipeline.datalake.query.queryables import ValueKind, is_of_annotation
from factory_pipeline.datalake.query.spatial import RELATIONS, boxes_meet, meets, parse_place
from factory_pipeline.errors import ArgumentError

Schema = Mapping[str, pl.DataType]


@dataclass(frozen=True, eq=False)
class ItemPredicate:
    """A condition on the row of an item."""

    predicate: pl.Expr
    near: pl.Expr | None = None
    """Cheaper, and true wherever the predicate is."""


@dataclass(frozen=True, eq=False)
class AnnotationPredicate:
    """The item has an annotation that meets a condition."""

    predicate: pl.Expr
    """On the row of an annotation."""


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
    """The part is not met: it is false, or can't be told as the item lacks the property."""

    part: "Tree"


Tree = ItemPredicate | AnnotationPredicate | AllOf | AnyOf | Not

_ABSENCES = {"<>": "=", "t_disjoint": "t_intersects"}
"""What holds where there is a value, and none for which the other holds."""
_CALCULATE: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@dataclass(frozen=True)
class TreeBuilder:
    """Makes trees for tables of these schemas."""

    items: Schema
    annotations: Schema | None
    """None where there are no annotations at all."""

    def build(self, node: Mapping[str, Any]) -> Tree:
        """The tree of a condition as `check.checked` gives it.

        Raises:
            ArgumentError: two properties are compared, and one of them holds lists.
        """
        operation, arguments = node["op"], node["args"]
        if operation == "and":
            return AllOf(tuple(self.build(part) for part in arguments))
        if operation == "or":
            return _any_of([self.build(part) for part in arguments])
        if operation == "not":
            return Not(self.build(arguments[0]))
        if operation in RELATIONS:
            return self._place(operation, arguments[1])
        is_of_annotations = any(is_of_annotation(name) for name in properties_of(arguments[0]))
        if is_of_annotations and self.annotations is None:
            return Not(ItemPredicate(NEVER)) if operation == "isNull" else ItemPredicate(NEVER)
        found = AnnotationPredicate if is_of_annotations else ItemPredicate
        if operation == "isNull":
            return Not(found(self._present(arguments)))
        if operation in _ABSENCES:
            other = self._predicate(_ABSENCES[operation], arguments)
            return AllOf((found(self._present(arguments)), Not(found(other))))
        return found(self._predicate(operation, arguments))

    def _place(self, operation: str, literal: Mapping[str, Any]) -> Tree:
        if not {"bbox", "geometry"} <= self.items.keys():
            return ItemPredicate(NEVER)
        place, box = parse_place(literal), pl.col("bbox")
        near = None if operation == "s_disjoint" else boxes_meet(place, box)
        return ItemPredicate(meets(operation, place, box, pl.col("geometry")), near)

    def _present(self, arguments: Sequence[Any]) -> pl.Expr:
        columns = [self._column(one) for one in arguments if names_property(one)]
        return joined(operator.and_, [column.present if column else NEVER for column in columns])

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
        if not names_property(arguments[1]):
            return compared(operation, asked, _value(arguments[1]))
        other = self._column(arguments[1])
        if other is None:
            return NEVER
        for side, column in zip(arguments, (asked, other), strict=True):
            if column.holds_lists:
                message = f"{said(side)} holds lists, and a list can be compared with a value alone"
                raise ArgumentError("query", said(side), message)
        return compared_columns(operation, asked, other)

    def _column(self, operand: Mapping[str, Any]) -> Column | None:
        match operand:
            case {"property": name} if is_of_annotation(name):
                return annotation_column(name, self.annotations or {})
            case {"property": name}:
                return item_column(name, self.items)
            case {"op": "casei", "args": [inner]}:
                return _lower(self._column(inner))
        left, right = (self._number(part) for part in operand["args"])
        if operand["op"] == "/":
            value = pl.when(right != 0).then(left / right)
        else:
            value = _CALCULATE[operand["op"]](left, right)
        return Column(value, ValueKind.NUMBER, pl.Float64())

    def _number(self, operand: Any) -> pl.Expr:
        """A side of a calculation, which is made with floats; null where there is no number."""
        if not names_property(operand):
            return pl.lit(float(operand))
        column = self._column(operand)
        if column is None or column.holds_lists:
            return pl.lit(None, pl.Float64())
        return as_number(column).cast(pl.Float64)


def has_annotations(tree: Tree) -> bool:
    """Whether it asks for annotations."""
    match tree:
        case AnnotationPredicate():
            return True
        case AllOf(parts) | AnyOf(parts):
            return any(has_annotations(part) for part in parts)
        case Not(part):
            return has_annotations(part)
    return False


def _any_of(parts: list[Tree]) -> Tree:
    """That one annotation is there, or another, is that one is there which is either."""
    found = [part.predicate for part in parts if isinstance(part, AnnotationPredicate)]
    others = [part for part in parts if not isinstance(part, AnnotationPredicate)]
    if not found:
        return AnyOf(tuple(others))
    exists = AnnotationPredicate(joined(operator.or_, found))
    return AnyOf((exists, *others)) if others else exists


def _lower(column: Column | None) -> Column | None:
    """Texts without the difference of upper and lower case; there is none in other values."""
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
