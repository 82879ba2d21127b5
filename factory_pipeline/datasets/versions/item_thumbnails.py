"""The thumbnails of a version's items, by which near-identical images are found, also of several collections.

Those of uploads were made when they came. Of other images the pixels are read here, but for versions of one
build: its windows are placed by their archive, and those that show the same overlap.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from factory_pipeline.datalake.registry.records import CollectionSource
from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.datasets.versions.media import MediaReader
from factory_pipeline.errors import LakeError
from factory_pipeline.splits.near_identical import MOST_COMPARED, thumbnail
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.thread_map import map_in_threads

_BUILDS = (CollectionSource.GEDI, CollectionSource.RECIPE, CollectionSource.PAIRS)
SMALLEST_SIDE = 16
"""Pixels; smaller images are alike by chance."""
_MOST_READ = 2_000_000_000
"""Pixels, over all bands and items, that are read at most, which takes about a minute."""
_READ_SIDE = 128
_AT_ONCE = 64
"""Items that a thread reads with files kept open."""
_THREADS = 4


def thumbnails_of(
    items: pl.DataFrame, collections: Mapping[str, CollectionTables], reads_pixels: bool = True
) -> pl.Series:
    """Return the `thumbnail` of each item as bytes, null where its pixels were not looked at.

    Args:
        items: `collection`, `id`.
        collections: those of the items, by id.
        reads_pixels: False returns those that are stored alone.
    """
    keys = items["collection"].unique(maintain_order=True)
    found = [
        table.select(pl.lit(key).alias("collection"), "id", "thumbnail")
        for key in keys
        if (table := collections[key].thumbnails) is not None
    ]
    read = [key for key in keys if collections[key].thumbnails is None]
    if len(keys) == 1:
        read = [key for key in read if collections[key].collection.source not in _BUILDS]
    if reads_pixels and read and items.height <= MOST_COMPARED:
        found += [_made(items.filter(pl.col("collection").is_in(read)), collections).lazy()]
    if not found:
        return pl.Series("thumbnail", [None] * items.height, dtype=pl.Binary)
    known = pl.concat(found).join(
        items.lazy().select("collection", "id"), on=["collection", "id"], how="semi"
    )
    return items.select("collection", "id").join(
        known.collect(engine="streaming"), on=["collection", "id"], how="left", maintain_order="left"
    )["thumbnail"]


def _made(items: pl.DataFrame, collections: Mapping[str, CollectionTables]) -> pl.DataFrame:
    """Return `collection`, `id`, `thumbnail` of items whose first raster can be read and is large enough."""
    tables = [
        collections[key].items.select(
            pl.lit(key).alias("collection"), "id", "width", "height", medium=pl.col("media").list.first()
        )
        for key in items["collection"].unique(maintain_order=True)
    ]
    wanted = items.lazy().select("collection", "id")
    rasters = (
        pl.concat(tables)
        .join(wanted, on=["collection", "id"], how="semi")
        .filter(pl.col("medium").is_not_null(), pl.min_horizontal("width", "height") >= SMALLEST_SIDE)
        .collect(engine="streaming")
    )
    pixels = rasters["width"] * rasters["height"] * rasters["medium"].struct.field("bands").list.len()
    if pixels.sum() > _MOST_READ:
        rasters = rasters.clear()
    home = next(iter(collections.values())).home
    parts = (part["medium"].to_list() for part in rasters.iter_slices(_AT_ONCE))
    made = [row for part in map_in_threads(lambda each: _read(home, each), parts, _THREADS) for row in part]
    return rasters.select("collection", "id", pl.Series("thumbnail", made, dtype=pl.Binary))


def _read(home: FactoryHome, media: Sequence[Mapping[str, Any]]) -> list[bytes | None]:
    reader = MediaReader(home)
    try:
        return [_thumbnail(reader, medium) for medium in media]
    finally:
        reader.close()


def _thumbnail(reader: MediaReader, medium: Mapping[str, Any]) -> bytes | None:
    """Return the thumbnail of a raster; None for one that can't be read, which an export will say."""
    try:
        pixels = reader.read_small(medium, _READ_SIDE)
    except LakeError:
        return None
    nodata = medium["nodata"]
    valid = None if nodata is None or not np.isfinite(nodata) else pixels != nodata
    return thumbnail(pixels, valid).tobytes()
