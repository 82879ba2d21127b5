"""The items that match a query and a filter, as a lazy table."""

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from factory_pipeline.datalake.query.comparisons import combine
from factory_pipeline.datalake.query.compile import (
    AllOf,
    AnnotationPredicate,
    AnyOf,
    ItemPredicate,
    Not,
    Tree,
    TreeBuilder,
    has_annotations,
)
from factory_pipeline.datalake.query.filters import validate_filter
from factory_pipeline.datalake.query.parse import parse_query


def matching_items(
    items: pl.LazyFrame,
    annotations: pl.LazyFrame | None,
    query: str | Mapping[str, Any],
    filter: Mapping[str, Any],
) -> pl.LazyFrame:
    """Return the items that match, in their order; nothing is read before the result is collected.

    A condition on annotations is true for an item if one of its annotations meets it; two conditions combined
    by `and` may be met by two of its annotations. A condition on a property that an item lacks is false, so
    its `not` is true.

    Args:
        items: ITEM_SCHEMA with columns `metadata.<name>` of any dtype, and `collection` if there is more than
            one.
        annotations: ANNOTATION_SCHEMA with `operation` and `source`, and `collection` as the items; None if
            there are none.
        query: as for `parse_query`.
        filter: as for `validate_filter`.

    Raises:
        ArgumentError: the query or the filter is not allowed.
    """
    conditions = [one for one in (parse_query(query), validate_filter(filter)) if one]
    if not conditions:
        return items
    item_schema = items.collect_schema()
    annotation_schema = annotations.collect_schema() if annotations is not None else None
    builder = TreeBuilder(item_schema, annotation_schema)
    parts = list(_conjuncts(builder.build({"op": "and", "args": conditions})))
    found = items
    for part in parts:
        if isinstance(part, ItemPredicate) and part.near is not None:
            found = found.filter(part.near)
        if not has_annotations(part):
            found = found.filter(_expression(part, {}))
    if annotations is None or annotation_schema is None:
        return found
    keys = ["collection"] if "collection" in item_schema and "collection" in annotation_schema else []
    return _match_annotations(found, annotations, [part for part in parts if has_annotations(part)], keys)


def _match_annotations(
    items: pl.LazyFrame, annotations: pl.LazyFrame, parts: list[Tree], keys: list[str]
) -> pl.LazyFrame:
    """Return the items that meet conditions on their annotations, joined by `keys` and the item's id."""
    of_items, of_annotations = [*keys, "id"], [*keys, "item"]
    several = []
    for part in parts:
        inner = part.part if isinstance(part, Not) else part
        if not isinstance(inner, AnnotationPredicate):
            several.append(part)
            continue
        items = items.join(
            annotations.filter(inner.predicate).select(of_annotations),
            left_on=of_items,
            right_on=of_annotations,
            how="anti" if isinstance(part, Not) else "semi",
            maintain_order="left",
        )
    if not several:
        return items
    names = {one: f"annotation {index}" for index, one in enumerate(_find_predicates(several))}
    met = (
        annotations.select(*of_annotations, *(one.predicate.alias(name) for one, name in names.items()))
        .filter(pl.any_horizontal(*names.values()))
        .group_by(of_annotations)
        .agg(pl.col(name).any() for name in names.values())
    )
    joint = items.join(met, left_on=of_items, right_on=of_annotations, how="left", maintain_order="left")
    return joint.filter(_expression(AllOf(tuple(several)), names)).drop(names.values())


def _conjuncts(tree: Tree) -> Iterator[Tree]:
    """Yield the parts that must all be met."""
    if not isinstance(tree, AllOf):
        yield tree
        return
    for part in tree.parts:
        yield from _conjuncts(part)


def _find_predicates(parts: list[Tree]) -> Iterator[AnnotationPredicate]:
    """Yield all conditions on annotations."""
    for part in parts:
        match part:
            case AnnotationPredicate():
                yield part
            case AllOf(inner) | AnyOf(inner):
                yield from _find_predicates(list(inner))
            case Not(one):
                yield from _find_predicates([one])


def _expression(tree: Tree, names: Mapping[AnnotationPredicate, str]) -> pl.Expr:
    """Return a tree as an expression; `names` are columns that say whether an item has such an annotation."""
    match tree:
        case ItemPredicate(predicate):
            return predicate
        case AnnotationPredicate():
            return pl.col(names[tree])
        case AllOf(parts):
            return combine(operator.and_, [_expression(part, names) for part in parts])
        case AnyOf(parts):
            return combine(operator.or_, [_expression(part, names) for part in parts])
        case Not(part):
            return ~_expression(part, names).fill_null(False)
