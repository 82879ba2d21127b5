"""Small tables of items and annotations."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import shapely
from shapely.geometry.base import BaseGeometry

from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, ITEM_SCHEMA

SOURCED_SCHEMA = {**ANNOTATION_SCHEMA, "operation": pl.String(), "source": pl.String()}
BBOX = ("xmin", "ymin", "xmax", "ymax")


def item(
    id: str, at: str | None = None, shape: BaseGeometry | None = None, **metadata: Any
) -> dict[str, Any]:
    """A row of items; `at` is a moment in ISO 8601 in UTC, the metadata columns of its own."""
    return {
        "id": id,
        "datetime": None if at is None else datetime.fromisoformat(at).replace(tzinfo=UTC),
        "geometry": None if shape is None else shapely.to_wkb(shape),
        "bbox": None if shape is None else dict(zip(BBOX, shape.bounds, strict=True)),
        "width": 256,
        "height": 128,
        **{f"metadata.{name}": value for name, value in metadata.items()},
    }


def items(rows: Sequence[Mapping[str, Any]], dtypes: Mapping[str, pl.DataType] | None = None) -> pl.LazyFrame:
    """A table of items; columns that a row lacks are null. `dtypes` are those of metadata by name."""
    schema = {**ITEM_SCHEMA, **{f"metadata.{name}": dtype for name, dtype in (dtypes or {}).items()}}
    columns = {name: None for row in rows for name in row}
    return pl.LazyFrame(
        [{name: row.get(name) for name in {**schema, **columns}} for row in rows],
        schema={name: schema.get(name) for name in {**schema, **columns}},
        infer_schema_length=None,
    )


def annotation(item: str, label: str, source: str = "human", **columns: Any) -> dict[str, Any]:
    """A row of annotations; `attributes` and `metadata` are mappings."""
    row = {
        "item": item,
        "label": label,
        "source": source,
        "type": "rectangle",
        "operation": source,
        **columns,
    }
    for name in ("attributes", "metadata"):
        row[name] = json.dumps(columns.get(name, {}))
    return row


def annotations(rows: Sequence[Mapping[str, Any]]) -> pl.LazyFrame:
    """A table of annotations."""
    named = [{name: row.get(name) for name in SOURCED_SCHEMA} for row in rows]
    return pl.LazyFrame(named, schema=SOURCED_SCHEMA)
