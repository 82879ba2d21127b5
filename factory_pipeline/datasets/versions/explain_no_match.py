"""Why query and filter leave no item: at which step none was left, and what the lake has instead."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.tables.schemas import METADATA_PREFIX
from factory_pipeline.datasets.versions.candidates import Candidates
from factory_pipeline.datasets.versions.find import listed_nearest
from factory_pipeline.datasets.versions.request import VersionRequest
from factory_pipeline.errors import ArgumentError, LakeError

_MOST_VALUES = 10_000
"""Different values of a property that are looked through for near ones."""


def nothing_matches(request: VersionRequest, candidates: Sequence[Candidates]) -> LakeError | ArgumentError:
    """Say at which step no item was left."""
    before = _count([each.items for each in candidates])
    names = dict.fromkeys(each.tables.collection.name for each in candidates)
    where = f"the collection {next(iter(names))!r}" if len(names) == 1 else f"{len(names)} collections"
    if not before:
        return LakeError(f"There is no item to choose from in {where}.")
    none = f"none of the {before:,} items of {where} matches it"
    if not request.query:
        return ArgumentError("filter", request.filter, none)
    left = _count([matching_items(each.items, each.annotations, request.query, {}) for each in candidates])
    asked = request.query_text or request.query
    if not left:
        return ArgumentError("query", asked, "; ".join([none, *_missing(request.query, candidates)]))
    told = (
        f"of the {before:,} items of {where}, {left:,} match the query, but none of them matches the filter"
    )
    return ArgumentError("filter", request.filter, told)


def _count(items: Sequence[pl.LazyFrame]) -> int:
    return sum(each.select(pl.len()).collect(engine="streaming").item() for each in items)


def _missing(query: Mapping[str, Any], candidates: Sequence[Candidates]) -> Iterator[str]:
    """Tell what a query asks for and no item has, with the nearest that is there."""
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
            yield f"no item has {name}" + (f"; there is {listed_nearest(name, there)}" if there else "")
        values = {found: repr(found) for table in tables for found in _texts_of(name, table)}
        if values and value not in values:
            yield f"no {name} is {value!r}; there is {listed_nearest(value, values)}"


def _equalities(node: Any) -> Iterator[tuple[str, str]]:
    """The properties that a query compares with a text, each with that."""
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
    """The column of a property that holds texts or lists of them."""
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
