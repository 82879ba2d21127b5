"""Why query and filter match no item: at which step none was left, and which values exist instead."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.tables.schemas import METADATA_PREFIX
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.candidates import Candidates
from factory_pipeline.datasets.versions.find import list_similar
from factory_pipeline.errors import ArgumentError, LakeError
from factory_pipeline.plain_text import count_noun

_MOST_VALUES = 10_000
"""Largest number of distinct values of a property that are searched for similar ones."""


def no_match_error(request: DatasetRequest, candidates: Sequence[Candidates]) -> LakeError | ArgumentError:
    """Return the error that names the step after which no item was left.

    Args:
        request: with query and filter.
        candidates: that they were applied to.
    """
    before = _count([each.items for each in candidates])
    names = dict.fromkeys(each.tables.collection.name for each in candidates)
    where = f"the collection {next(iter(names))!r}" if len(names) == 1 else f"{len(names)} collections"
    if not before:
        return LakeError(f"There are no items in {where}.")
    none = f"none of {count_noun(before, 'item')} of {where} matches it"
    if not request.query:
        return ArgumentError("filter", request.filter, none)
    conditions = request.conditions
    left = _count([matching_items(each.items, each.annotations, conditions, {}) for each in candidates])
    if not left:
        return ArgumentError(
            "query", request.query, "; ".join([none, *_missing_values(conditions, candidates)])
        )
    told = (
        f"of the {before:,} items of {where}, {left:,} match the query, but none of them matches the filter"
    )
    return ArgumentError("filter", request.filter, told)


def _count(items: Sequence[pl.LazyFrame]) -> int:
    return sum(each.select(pl.len()).collect(engine="streaming").item() for each in items)


def _missing_values(query: Mapping[str, Any], candidates: Sequence[Candidates]) -> Iterator[str]:
    """Yield the values in a query that no item has, with the most similar ones that exist."""
    for name, value in dict.fromkeys(_equalities(query)):
        tables = [
            table
            for each in candidates
            for table in (each.items, each.annotations)
            if table is not None and _column(name, table) is not None
        ]
        if not tables and name.startswith(METADATA_PREFIX):
            there = {
                column: column
                for each in candidates
                for column in each.items.collect_schema()
                if column.startswith(METADATA_PREFIX)
            }
            yield f"no item has {name}" + (f"; there is {list_similar(name, there)}" if there else "")
        values = {found: repr(found) for table in tables for found in _texts_of(name, table)}
        if values and value not in values:
            yield f"no {name} is {value!r}; there is {list_similar(value, values)}"


def _equalities(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the properties that a query compares with a text, each with that text."""
    if not isinstance(node, Mapping):
        return
    sides = node.get("args", [])
    if node.get("op") in ("=", "in") and len(sides) == 2:
        properties = [side["property"] for side in sides if isinstance(side, Mapping) and "property" in side]
        values = [value for side in sides for value in (side if isinstance(side, list) else [side])]
        for name in properties:
            yield from ((name, value) for value in values if isinstance(value, str))
    for side in sides if isinstance(sides, list) else []:
        yield from _equalities(side)


def _column(name: str, table: pl.LazyFrame) -> str | None:
    """Return the column of a property that contains texts or lists of them."""
    schema = table.collect_schema()
    for column in (name, name.removeprefix("annotation.")):
        if schema.get(column) in (pl.String(), pl.List(pl.String())):
            return column
    return None


def _texts_of(name: str, table: pl.LazyFrame) -> list[str]:
    column = _column(name, table)
    values = table.select(value=pl.col(column or name))
    if values.collect_schema()["value"] == pl.List(pl.String()):
        values = values.explode("value")
    found = values.drop_nulls().unique().head(_MOST_VALUES).collect(engine="streaming")
    return sorted(found["value"].to_list())
