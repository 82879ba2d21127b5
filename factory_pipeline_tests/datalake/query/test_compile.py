"""Queries become conditions on items and on their annotations."""

from typing import Any

import polars as pl
import pytest

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
from factory_pipeline.datalake.query.parse import parse_query
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, ITEM_SCHEMA
from factory_pipeline.errors import ArgumentError

ITEMS: dict[str, Any] = {
    **ITEM_SCHEMA,
    "metadata.cover": pl.Float64(),
    "metadata.name": pl.String(),
    "metadata.tags": pl.List(pl.String()),
}
BUILDER = TreeBuilder(ITEMS, ANNOTATION_SCHEMA)


def tree(query: str, builder: TreeBuilder = BUILDER) -> Tree:
    return builder.build(parse_query(query))


def chosen(query: str) -> list[bool | None]:
    """Which of three items meet a condition on items."""
    found = tree(query)
    assert isinstance(found, ItemPredicate), found
    items = pl.DataFrame(
        {
            "metadata.cover": [0.5, 2.0, None],
            "metadata.name": ["Oat", "rye", None],
            "metadata.tags": [["a"], [], None],
        }
    )
    return [value is True for value in items.with_columns(a=found.predicate)["a"].to_list()]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("metadata.cover > 1", [False, True, False]),
        ("metadata.cover BETWEEN 0 AND 1", [True, False, False]),
        ("metadata.cover * 2 = 1", [True, False, False]),
        ("metadata.cover / 0 > 1", [False, False, False]),
        ("metadata.name IN ('rye', 'wheat')", [False, True, False]),
        ("CASEI(metadata.name) = CASEI('RYE')", [False, True, False]),
        ("metadata.name LIKE 'O%'", [True, False, False]),
        ("metadata.none = 1", [False, False, False]),
    ],
)
def test_a_condition_on_items_chooses_rows(query: str, expected: list[bool]) -> None:
    assert chosen(query) == expected


@pytest.mark.parametrize(
    ("query", "kind", "of_annotations"),
    [
        ("metadata.cover > 1", ItemPredicate, False),
        ("annotation.label = 'Rye'", AnnotationPredicate, True),
        ("metadata.cover > 1 AND annotation.label = 'Rye'", AllOf, True),
        ("annotation.label = 'Rye' OR annotation.label = 'Oat'", AnnotationPredicate, True),
        ("annotation.label = 'Rye' OR metadata.cover > 1", AnyOf, True),
        ("NOT metadata.cover > 1", Not, False),
        ("metadata.cover IS NULL", Not, False),
        ("annotation.label <> 'Rye'", AllOf, True),
    ],
)
def test_conditions_are_told_apart_by_what_they_are_of(
    query: str, kind: type[Tree], of_annotations: bool
) -> None:
    found = tree(query)
    assert isinstance(found, kind)
    assert has_annotations(found) is of_annotations


def test_without_annotations_no_condition_on_them_is_met() -> None:
    builder = TreeBuilder(ITEMS, None)
    never = tree("annotation.label = 'Rye'", builder)
    assert isinstance(never, ItemPredicate)
    assert pl.select(never.predicate).to_series().to_list() == [False]
    absent = tree("annotation.label IS NULL", builder)
    assert isinstance(absent, Not)
    assert not has_annotations(absent)


def test_lists_are_compared_with_values_alone() -> None:
    assert chosen("metadata.tags = 'a'") == [True, False, False]
    with pytest.raises(ArgumentError, match="contains lists, and a list can only be compared with a value"):
        tree("metadata.tags = metadata.name")


def test_a_place_has_a_cheaper_condition_that_is_true_wherever_it_is() -> None:
    found = tree("S_INTERSECTS(geometry, POINT(1 2))")
    assert isinstance(found, ItemPredicate)
    assert found.near is not None
    apart = tree("S_DISJOINT(geometry, POINT(1 2))")
    assert isinstance(apart, ItemPredicate)
    assert apart.near is None
    nowhere = TreeBuilder({"id": pl.String()}, None).build(parse_query("S_INTERSECTS(geometry, POINT(1 2))"))
    assert isinstance(nowhere, ItemPredicate)
    assert pl.select(nowhere.predicate).to_series().to_list() == [False]
