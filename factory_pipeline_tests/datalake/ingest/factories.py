"""Small collections for tests of annotations: images are known by their rows alone."""

import json
from pathlib import Path
from typing import Any

import polars as pl
from affine import Affine

from factory_pipeline.datalake.ingest.item_footprints import footprint_columns
from factory_pipeline.datalake.registry.records import Collection, CollectionSource, Operation
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import scan_annotations
from factory_pipeline.datalake.tables.items import items_hash, write_items_table
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home, resolve

WEST, NORTH = 500_000.0, 5_000_000.0
UTM = 32633


def placed(name: str, column: int = 0, size: int = 100, epsg: int = UTM, **columns: Any) -> dict[str, Any]:
    """An image of 10 m pixels, so many images east of the first."""
    transform = columns.pop("transform", Affine(10, 0, WEST + column * size * 10, 0, -10, NORTH))
    return picture(name, size, epsg=epsg, transform=list(transform)[:6], **columns)


def picture(name: str, size: int = 100, **columns: Any) -> dict[str, Any]:
    """An image that lies nowhere."""
    media = [{"modality": "S2", "path": f"datasets/a/{name}_s2.tif", "sha256": name}]
    blank = {"id": name, "width": size, "height": size, "epsg": None, "transform": None, "bounds": None}
    return {**blank, "media": media, "metadata.original_name": f"photo {name}", **columns}


def collection_of(
    registry: Registry, home: FactoryHome, *images: dict[str, Any], name: str = "made"
) -> Collection:
    """Register images as a collection."""
    rows = pl.DataFrame(
        images,
        schema_overrides={
            "media": ITEM_SCHEMA["media"],
            "transform": pl.List(pl.Float64),
            "bounds": pl.List(pl.Float64),
            "epsg": pl.Int64,
        },
    )
    items = rows.hstack(footprint_columns(rows)).with_columns(
        pl.format("EPSG:{}", "epsg").alias("proj:code"),
        pl.col("transform").alias("proj:transform"),
        datetime=None,
        split=None,
    )
    items = items.select([*ITEM_SCHEMA, "metadata.original_name"]).cast(pl.Schema(ITEM_SCHEMA))
    content_hash = items_hash(items)
    path = home.collection(name, content_hash).items
    write_items_table(path, items, collection=name)
    return registry.add_collection(
        name,
        CollectionSource.UPLOAD,
        items_path=relative_to_home(path, home),
        item_count=items.height,
        content_hash=content_hash,
    )


def rows_of(operation: Operation, home: FactoryHome) -> list[dict[str, Any]]:
    """The annotations of an operation."""
    return scan_annotations(resolve(operation.path, home)).collect().to_dicts()


def written(path: Path, document: Any) -> Path:
    """A JSON document on disk."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def tables_in(home: FactoryHome) -> set[str]:
    """Names of all files and folders of the lake, also hidden ones."""
    return {path.relative_to(home.collections).as_posix() for path in home.collections.rglob("*")}
