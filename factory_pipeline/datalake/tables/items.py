"""The items of a collection as STAC items in GeoParquet (stac-geoparquet 1.0), written batch by batch.

Items are rows, their properties columns, the footprint is WKB in WGS 84 with a bounding box beside it:
https://github.com/radiantearth/stac-geoparquet-spec and https://geoparquet.org/releases/v1.1.0.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import shapely

from factory_pipeline.datalake.tables.content_hash import RowsHash
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA, METADATA_PREFIX
from factory_pipeline.errors import LakeError
from factory_pipeline.stac.geoparquet_metadata import (
    ANY_TIME,
    PROJECTION,
    STAC_VERSION,
    items_metadata,
)
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.media_types import MEDIA_TYPES, UNKNOWN
from factory_pipeline.storage.parquet import ParquetBatches

TO_HOME = "../../"
"""From the folder of a collection to the factory home: paths of media are relative to the home."""
DERIVED = ("geometry", "bbox")
"""Computed from the other columns; the last digits depend on the version of PROJ."""

_LINK = pl.Struct({"href": pl.String(), "rel": pl.String(), "type": pl.String()})
_WKT_COLUMN = "proj:wkt2"
_CODE = r"^[A-Za-z0-9]+:[A-Za-z0-9]+$"


class ItemBatches:
    """An open table of items that rows are appended to."""

    def __init__(
        self,
        file: ParquetBatches,
        collection: str,
        modalities: Sequence[str],
        dated: bool,
        credits: Mapping[str, Any] | None = None,
    ) -> None:
        self._file = file
        self._collection = collection
        self._modalities = modalities
        self._dated = dated
        self._credits = credits
        self._extent = _Extent()

    def append(self, items: pl.DataFrame) -> None:
        """Append rows in ITEM_SCHEMA with their metadata, whose columns are those of the first rows."""
        self._extent.add(items)
        self._file.append(_to_stac(items, self._collection, self._modalities, self._dated))

    def finish(self) -> None:
        """Write the metadata of the table; no rows may follow."""
        self._file.describe(self._extent.metadata(self._collection, self._credits))


@contextmanager
def items_writer(
    path: Path,
    *,
    collection: str,
    modalities: Sequence[str],
    dated: bool,
    credits: Mapping[str, Any] | None = None,
) -> Iterator[ItemBatches]:
    """Write a table of items batch by batch, atomically; append at least one batch.

    Args:
        path: of the table, in the folder of the collection.
        collection: its name, which is the id of the STAC collection.
        modalities: of the media of all items, in their order.
        dated: whether all items have a time.
        credits: as for `stac.geoparquet_metadata.items_metadata`.
    """
    with atomic_write(path) as temporary, ParquetBatches(temporary) as file:
        batches = ItemBatches(file, collection, modalities, dated, credits)
        yield batches
        batches.finish()


def write_items_table(path: Path, items: pl.DataFrame, *, collection: str) -> None:
    """Write items, in ITEM_SCHEMA with their metadata, atomically.

    Args:
        path: of the table, in the folder of the collection.
        items: in the order of the table.
        collection: its name, which is the id of the STAC collection.
    """
    tags = items["media"].explode().struct.field("modality").drop_nulls()
    modalities = tags.unique(maintain_order=True).to_list()
    dated = not items["datetime"].null_count()
    with items_writer(path, collection=collection, modalities=modalities, dated=dated) as batches:
        batches.append(items)


def scan_items(path: Path) -> pl.LazyFrame:
    """Return the items of a collection as a lazy table: ITEM_SCHEMA and their metadata.

    Raises:
        LakeError: the file is missing.
    """
    if not path.exists():
        raise LakeError(f"The items {path} are missing; their collection is damaged.")
    table = pl.scan_parquet(path)
    metadata = [name for name in table.collect_schema().names() if name.startswith(METADATA_PREFIX)]
    return table.with_columns(pl.coalesce("proj:code", _WKT_COLUMN)).select([*ITEM_SCHEMA, *metadata])


class ItemsHash:
    """The identity of a collection: SHA-256 of every item, without columns that are derived from others."""

    def __init__(self) -> None:
        """Start without items."""
        self._rows = RowsHash("items")

    def update(self, items: pl.DataFrame) -> None:
        """Add items; the result does not depend on their division into batches."""
        self._rows.update(items.drop(DERIVED))

    def hexdigest(self) -> str:
        """Return the hash of all items so far, in hex."""
        return self._rows.hexdigest()


def items_hash(items: pl.DataFrame) -> str:
    """Return the ItemsHash of a table."""
    found = ItemsHash()
    found.update(items)
    return found.hexdigest()


def _to_stac(items: pl.DataFrame, collection: str, modalities: Sequence[str], dated: bool) -> pl.DataFrame:
    metadata = [
        pl.col(name).cast(pl.String) if dtype == pl.Null else pl.col(name)
        for name, dtype in items.schema.items()
        if name.startswith(METADATA_PREFIX)
    ]
    interval = {} if dated else ANY_TIME
    has_code = pl.col("proj:code").str.contains(_CODE)
    return items.cast(pl.Schema(ITEM_SCHEMA)).select(
        pl.lit("Feature").alias("type"),
        pl.lit(STAC_VERSION).alias("stac_version"),
        pl.lit([PROJECTION]).alias("stac_extensions"),
        "id",
        "geometry",
        "bbox",
        pl.lit([], pl.List(_LINK)).alias("links"),
        pl.struct([_asset(modality) for modality in modalities]).alias("assets"),
        pl.lit(collection).alias("collection"),
        "datetime",
        *(pl.col("datetime").fill_null(pl.lit(time)).alias(name) for name, time in interval.items()),
        pl.when(has_code).then("proj:code").alias("proj:code"),
        pl.when(~has_code).then("proj:code").alias(_WKT_COLUMN),
        pl.concat_list("height", "width").alias("proj:shape"),
        "proj:transform",
        "split",
        "width",
        "height",
        "media",
        *metadata,
    )


def _asset(modality: str) -> pl.Expr:
    """Return the raster of a modality as a STAC asset; null if an item lacks it."""
    is_it = pl.element().struct.field("modality") == modality
    path = pl.col("media").list.eval(pl.element().filter(is_it).struct.field("path")).list.first()
    ending = path.str.to_lowercase().str.extract(r"(\.[^./]+)$")
    asset = pl.struct(
        pl.when(path.str.starts_with("/")).then(path).otherwise(TO_HOME + path).alias("href"),
        ending.replace_strict(MEDIA_TYPES, default=UNKNOWN).alias("type"),
        pl.lit(modality).alias("title"),
        pl.lit(["data"]).alias("roles"),
    )
    return pl.when(path.is_not_null()).then(asset).alias(modality)


class _Extent:
    """The extent of the items of a table in space and time."""

    def __init__(self) -> None:
        self._kinds: set[int] = set()
        self._bounds: list[float] | None = None
        self._times: list[datetime] = []

    def add(self, items: pl.DataFrame) -> None:
        """Add items."""
        times: list[datetime] = items["datetime"].drop_nulls().unique().to_list()
        self._times = [edge(found) for edge in (min, max) if (found := self._times + times)]
        placed = items.drop_nulls("geometry")
        if not placed.height:
            return
        geometries = shapely.from_wkb(placed["geometry"].to_numpy())
        self._kinds |= set(shapely.get_type_id(geometries).tolist())
        west, south, east, north = shapely.total_bounds(geometries).tolist()
        box = self._bounds or [west, south, east, north]
        self._bounds = [min(box[0], west), min(box[1], south), max(box[2], east), max(box[3], north)]

    def metadata(self, collection: str, credits: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the metadata of the table and of its collection."""
        return items_metadata(collection, self._kinds, self._bounds, times=self._times, credits=credits)
