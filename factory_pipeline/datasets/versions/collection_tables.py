"""A collection for versions: its items with the identity of their content, its operations in order."""

import hashlib
from collections.abc import Collection as Some
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Self

import polars as pl

from factory_pipeline.datalake.registry.records import Collection, Operation
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import read_classes, scan_annotations
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.storage.layout import CollectionFiles, FactoryHome
from factory_pipeline.storage.relative_paths import resolve

_ELEMENT = pl.element().struct.field
_RASTER = pl.coalesce(
    _ELEMENT("sha256"),
    pl.concat_str(
        _ELEMENT("path"),
        _ELEMENT("member"),
        _ELEMENT("row").cast(pl.String),
        separator="#",
        ignore_nulls=True,
    ),
)
_RASTERS = pl.col("media").list.eval(pl.concat_str(_ELEMENT("modality"), pl.lit("="), _RASTER)).list.sort()
CONTENT = (
    pl.when(pl.col("media").list.len() > 0)
    .then(_RASTERS.list.join("\n"))
    .otherwise(pl.col("id"))
    .alias("rasters"),
    pl.col("proj:code"),
    pl.col("proj:transform"),
)
"""The identity of an image: the hashes of its rasters, and its georeference."""


@dataclass(frozen=True)
class CollectionTables:
    """The tables of a collection."""

    collection: Collection
    operations: tuple[Operation, ...]
    """Its operations: human ones first, then by their files' names, which depend on their content, so that
    the order is the same in every registry.
    """
    home: FactoryHome

    @classmethod
    def of(cls, registry: Registry, home: FactoryHome, collection: Collection) -> Self:
        """Return the tables of a collection of the registry.

        Args:
            registry: contains the operations on the collection.
            home: contains the tables.
            collection: that is not deleted.
        """
        found = registry.operations(collection.id)
        return cls(collection, tuple(sorted(found, key=operation_order)), home)

    @cached_property
    def items(self) -> pl.LazyFrame:
        """Return its items, with its name as `collection`.

        Raises:
            LakeError: the file is missing.
        """
        table = scan_items(resolve(self.collection.items_path, self.home))
        return table.with_columns(collection=pl.lit(self.collection.name))

    @property
    def thumbnails(self) -> pl.LazyFrame | None:
        """Return `id` and `thumbnail` of its items; None where its pixels were not looked at."""
        path = CollectionFiles(resolve(self.collection.items_path, self.home).parent).thumbnails
        return pl.scan_parquet(path) if path.exists() else None

    def annotations(self, operations: Some[str] | None = None) -> pl.LazyFrame | None:
        """Return the annotations of its operations, or of some; None if there are none.

        Returns:
            ANNOTATION_SCHEMA with `operation`, `source`, and `place`, the row in the operation.

        Raises:
            LakeError: a file is missing.
        """
        tables = [
            scan_annotations(self._path(operation))
            .with_row_index("place")
            .with_columns(operation=pl.lit(operation.id), source=pl.lit(str(operation.source)))
            for operation in self.operations
            if operations is None or operation.id in operations
        ]
        return pl.concat(tables) if tables else None

    def classes(self, operations: Some[str] | None = None) -> list[str]:
        """Return the classes that its operations, or some, were made with; some may have no annotation.

        Raises:
            LakeError: a file is missing.
        """
        chosen = (each for each in self.operations if operations is None or each.id in operations)
        return [name for each in chosen for name in read_classes(self._path(each))]

    def _path(self, operation: Operation) -> Path:
        return resolve(operation.path, self.home)


def operation_order(operation: Operation) -> tuple[str, str, str]:
    """Return the sort key of an operation: source, file, and the id if all else is the same."""
    return str(operation.source), PurePath(operation.path).name, operation.id


def content_hashes(items: pl.DataFrame) -> pl.Series:
    """Return the SHA-256 in hex of the content of each item, as `content`.

    Args:
        items: the columns CONTENT.
    """
    hashed = [
        hashlib.sha256(f"{rasters}\n{code}\n{transform}".encode("utf-8", "backslashreplace")).hexdigest()
        for rasters, code, transform in items.select("rasters", "proj:code", "proj:transform").iter_rows()
    ]
    return pl.Series("content", hashed, dtype=pl.String)
