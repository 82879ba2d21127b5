"""The items of a collection as STAC items in GeoParquet (stac-geoparquet 1.0), written batch by batch.

Items are rows, their properties columns, the footprint is WKB in WGS 84 with a bounding box beside it:
https://github.com/radiantearth/stac-geoparquet-spec and https://geoparquet.org/releases/v1.1.0.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import shapely

from factory_pipeline.datalake.tables.content_hash import RowsHash
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA, METADATA_PREFIX
from factory_pipeline.errors import LakeError
from factory_pipeline.onboarding.products.stac_items import ANY_TIME, MEDIA_TYPES, PROJECTION, STAC_VERSION
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.parquet import ParquetBatches

TO_HOME = "../../"
"""From the folder of a collection to the factory home, which paths of media are relative to."""
DERIVED = ("geometry", "bbox")
"""Computed from the other columns, in digits that the version of PROJ decides."""

_LINK = pl.Struct({"href": pl.String(), "rel": pl.String(), "type": pl.String()})
_MEDIA_TYPES = MEDIA_TYPES | {".h5": "application/x-hdf5"}
_KINDS = {3: "Polygon", 6: "MultiPolygon"}
"""Kinds of geometry by shapely's numbers."""
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
        collection = self._extent.collection(self._collection)
        self._file.describe(
            {
                "geo": self._extent.geo(),
                "stac-geoparquet": {"version": "1.0.0", "collections": {self._collection: collection}},
            }
        )


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
        self._kinds: set[str] = set()
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
        self._kinds |= {_KINDS[kind] for kind in np.unique(shapely.get_type_id(geometries)).tolist()}
        west, south, east, north = shapely.total_bounds(geometries).tolist()
        box = self._bounds or [west, south, east, north]
        self._bounds = [min(box[0], west), min(box[1], south), max(box[2], east), max(box[3], north)]

    def geo(self) -> dict[str, Any]:
        """GeoParquet metadata; without `crs` coordinates are longitude and latitude in WGS 84 (OGC:CRS84)."""
        edges = ("xmin", "ymin", "xmax", "ymax")
        column: dict[str, Any] = {
            "encoding": "WKB",
            # An empty list, "not known", makes rustac panic where no item has a geometry.
            "geometry_types": sorted(self._kinds) or [_KINDS[3]],
            "edges": "planar",
            "covering": {"bbox": {edge: ["bbox", edge] for edge in edges}},
        }
        if self._bounds is not None:
            column["bbox"] = self._bounds
        return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}

    def collection(self, name: str) -> dict[str, Any]:
        """The STAC collection."""
        return {
            "type": "Collection",
            "stac_version": STAC_VERSION,
            "id": name,
            "description": name,
            "license": "other",
            "links": [],
            "extent": {
                # STAC asks for one; where no item is georeferenced, they may lie anywhere.
                "spatial": {"bbox": [self._bounds or [-180.0, -90.0, 180.0, 90.0]]},
                "temporal": {"interval": [[time.isoformat() for time in self._times] or [None, None]]},
            },
        }
