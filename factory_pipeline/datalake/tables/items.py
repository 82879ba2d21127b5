"""The items of a collection as STAC items in GeoParquet (stac-geoparquet 1.0), written batch by batch.

Items are rows, their properties columns, the footprint is WKB in WGS 84 with a bounding box beside it:
https://github.com/radiantearth/stac-geoparquet-spec and https://geoparquet.org/releases/v1.1.0.
"""

from collections.abc import Iterator, Sequence
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
    RASTER_MEDIA_TYPES,
    STAC_VERSION,
    items_metadata,
)
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.parquet import ParquetBatches

TO_HOME = "../../"
"""From the folder of a collection to the factory home, which paths of media are relative to."""
DERIVED = ("geometry", "bbox")
"""Computed from the other columns, in digits that the version of PROJ decides."""

_LINK = pl.Struct({"href": pl.String(), "rel": pl.String(), "type": pl.String()})
_MEDIA_TYPES = RASTER_MEDIA_TYPES | {".h5": "application/x-hdf5"}
_WKT_COLUMN = "proj:wkt2"
_CODE = r"^[A-Za-z0-9]+:[A-Za-z0-9]+$"


class ItemBatches:
    """An open table of items that rows are appended to."""

    def __init__(self, file: ParquetBatches, collection: str, modalities: Sequence[str], dated: bool) -> None:
        self._file = file
        self._collection = collection
        self._modalities = modalities
        self._dated = dated
        self._extent = _Extent()

    def append(self, items: pl.DataFrame) -> None:
        """Add rows in ITEM_SCHEMA with their metadata, whose columns are those of the first rows."""
        self._extent.add(items)
        self._file.append(_as_stac(items, self._collection, self._modalities, self._dated))

    def finish(self) -> None:
        """Describe the whole table; no rows may follow."""
        self._file.describe(self._extent.metadata(self._collection))


@contextmanager
def items_writer(
    path: Path, *, collection: str, modalities: Sequence[str], dated: bool
) -> Iterator[ItemBatches]:
    """Write a table of items batch by batch, whole or not at all; at least one batch must come.

    Args:
        path: of the table, in the folder of the collection.
        collection: its name, which is the id of the STAC collection.
        modalities: of the media of all items, in their order.
        dated: whether all items have a time.
    """
    with atomic_write(path) as temporary, ParquetBatches(temporary) as file:
        batches = ItemBatches(file, collection, modalities, dated)
        yield batches
        batches.finish()


def write_items_table(path: Path, items: pl.DataFrame, *, collection: str) -> None:
    """Write items, in ITEM_SCHEMA with their metadata, whole or not at all.

    Args:
        path: of the table, in the folder of the collection.
        items: ordered as they are to lie there.
        collection: its name, which is the id of the STAC collection.
    """
    tags = items["media"].explode().struct.field("modality").drop_nulls()
    modalities = tags.unique(maintain_order=True).to_list()
    dated = not items["datetime"].null_count()
    with items_writer(path, collection=collection, modalities=modalities, dated=dated) as batches:
        batches.append(items)


def scan_items(path: Path) -> pl.LazyFrame:
    """The items of a collection, lazily: ITEM_SCHEMA and their metadata.

    Raises:
        LakeError: the file is missing.
    """
    if not path.exists():
        raise LakeError(f"The items {path} are missing; the collection that they belong to is broken.")
    table = pl.scan_parquet(path)
    metadata = [name for name in table.collect_schema().names() if name.startswith(METADATA_PREFIX)]
    return table.with_columns(pl.coalesce("proj:code", _WKT_COLUMN)).select([*ITEM_SCHEMA, *metadata])


class ItemsHash:
    """What identifies a collection: SHA-256 of every item, what is derived from others left out."""

    def __init__(self) -> None:
        """No item yet."""
        self._rows = RowsHash("items")

    def update(self, items: pl.DataFrame) -> None:
        """Take in more items; how they are divided does not matter."""
        self._rows.update(items.drop(DERIVED))

    def hexdigest(self) -> str:
        """In hex, of all items so far."""
        return self._rows.hexdigest()


def items_hash(items: pl.DataFrame) -> str:
    """The ItemsHash of a whole table."""
    found = ItemsHash()
    found.update(items)
    return found.hexdigest()


def _as_stac(items: pl.DataFrame, collection: str, modalities: Sequence[str], dated: bool) -> pl.DataFrame:
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
    """The raster of a modality as a STAC asset; null where an item lacks it."""
    is_it = pl.element().struct.field("modality") == modality
    path = pl.col("media").list.eval(pl.element().filter(is_it).struct.field("path")).list.first()
    ending = path.str.to_lowercase().str.extract(r"(\.[^./]+)$")
    asset = pl.struct(
        pl.when(path.str.starts_with("/")).then(path).otherwise(TO_HOME + path).alias("href"),
        ending.replace_strict(_MEDIA_TYPES, default="application/octet-stream").alias("type"),
        pl.lit(modality).alias("title"),
        pl.lit(["data"]).alias("roles"),
    )
    return pl.when(path.is_not_null()).then(asset).alias(modality)


class _Extent:
    """Where and when the items of a table lie."""

    def __init__(self) -> None:
        self._kinds: set[int] = set()
        self._bounds: list[float] | None = None
        self._times: list[datetime] = []

    def add(self, items: pl.DataFrame) -> None:
        """Take in more items."""
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

    def metadata(self, collection: str) -> dict[str, Any]:
        """What the table says of itself and of its collection."""
        return items_metadata(collection, self._kinds, self._bounds, times=self._times)
