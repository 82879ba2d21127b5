"""The rows of a manifest, a chunk at a time, from the tables of the data lake."""

import json
import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl

from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA, MANIFEST_SCHEMA, METADATA_PREFIX
from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.datasets.versions.select_annotations import AnnotationChoice

CHUNK = 50_000
"""Number of items whose rows are in memory at once; every chunk reads the tables again."""
_FROM_ITEM = [name for name in MANIFEST_SCHEMA if name in ITEM_SCHEMA and name not in ("id", "split")]


def manifest_rows(
    items: pl.DataFrame, collections: Mapping[str, CollectionTables], annotations: AnnotationChoice
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a version's manifest in MANIFEST_SCHEMA, ordered by name.

    Args:
        items: `name`, `split`, `collection`, `id` of all items.
        collections: by id.
        annotations: the source of the annotations.

    Raises:
        LakeError: a table is missing.
    """
    for chunk in items.sort("name").iter_slices(CHUNK):
        rows = [
            _collection_rows(collections[str(collection_id)], there)
            for (collection_id,), there in chunk.partition_by("collection", as_dict=True).items()
        ]
        joined = pl.concat(rows).join(annotations.of(chunk), on="name", how="left").sort("name")
        nothing = pl.lit([], MANIFEST_SCHEMA["annotations"])
        yield joined.with_columns(pl.col("annotations").fill_null(nothing)).select(list(MANIFEST_SCHEMA))


def _collection_rows(tables: CollectionTables, wanted: pl.DataFrame) -> pl.DataFrame:
    """Return rows of one collection's items without annotations."""
    named = wanted.lazy().select("name", "collection", "id", "split")
    found = tables.items.drop("split", "collection").join(named, on="id").collect(engine="streaming")
    properties = found.select(pl.col(f"^{METADATA_PREFIX.replace('.', '[.]')}.*$").name.map(_bare))
    metadata = [metadata_json(row) for row in properties.iter_rows(named=True)] or ["{}"] * found.height
    return found.select(
        "name", "collection", "id", "split", *_FROM_ITEM, metadata=pl.Series(metadata, dtype=pl.String)
    )


def metadata_json(properties: Mapping[str, Any]) -> str:
    """Return the properties of an item as a JSON object; times in ISO 8601, without null and NaN."""
    there = {name: _to_json_value(value) for name, value in properties.items()}
    return json.dumps(
        {name: value for name, value in there.items() if value is not None},
        sort_keys=True,
        ensure_ascii=False,
    )


def _bare(column: str) -> str:
    return column.removeprefix(METADATA_PREFIX)


def _to_json_value(value: Any) -> Any:
    """Return a value of a table as JSON."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [_to_json_value(each) for each in value]
        case dict():
            return {name: _to_json_value(each) for name, each in value.items()}
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case None | bool() | int() | str():
            return value
    return str(value)
