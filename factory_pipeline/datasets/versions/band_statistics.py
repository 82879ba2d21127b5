"""Mean and deviation of every band of the items, for subsets that cover what the images look like."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.datasets.versions.media import MediaReader
from factory_pipeline.errors import ArgumentError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.thread_map import map_in_threads

_AT_ONCE = 64
"""Items that a thread reads with files kept open."""
_THREADS = 4


def band_statistics(
    items: pl.DataFrame, collections: Mapping[str, CollectionTables], argument: str
) -> pl.DataFrame:
    """Read the pixels of items.

    Args:
        items: `collection`, `id`.
        collections: those of the items, by id.
        argument: of the request that asks for it, for messages.

    Returns:
        Two columns per band, mean and standard deviation of its valid pixels, a row per item; null for a
        band without any.

    Raises:
        ArgumentError: the items do not all have the same bands.
        LakeError: a raster is missing or damaged.
    """
    wanted = items.lazy().select("collection", "id")
    media = pl.concat(
        [
            collections[key].items.select(pl.lit(key).alias("collection"), "id", "media")
            for key in items["collection"].unique(maintain_order=True)
        ]
    ).join(wanted, on=["collection", "id"], how="semi")
    rasters = items.select("collection", "id").join(
        media.collect(engine="streaming"), on=["collection", "id"], how="left", maintain_order="left"
    )["media"]
    home = next(iter(collections.values())).home
    parts = (rasters[start : start + _AT_ONCE].to_list() for start in range(0, len(rasters), _AT_ONCE))
    rows = [row for part in map_in_threads(lambda each: _read(home, each), parts, _THREADS) for row in part]
    counts = sorted({len(row) // 2 for row in rows})
    if len(counts) != 1:
        raise ArgumentError(
            argument,
            "bands",
            f"the items must have the same bands, and they have {', '.join(map(str, counts))} of them",
        )
    table = np.array(rows, np.float64).reshape(len(rows), -1)
    return pl.DataFrame({str(number): values for number, values in enumerate(table.T)}).with_columns(
        pl.all().fill_nan(None)
    )


def _read(home: FactoryHome, items: Sequence[Sequence[Mapping[str, Any]]]) -> list[list[float]]:
    reader = MediaReader(home)
    try:
        return [
            [number for medium in media for number in _statistics(reader.read(medium), medium["nodata"])]
            for media in items
        ]
    finally:
        reader.close()


def _statistics(pixels: NDArray[Any], nodata: float | None) -> list[float]:
    found = []
    for band in pixels:
        values = band.astype(np.float64)
        valid = np.isfinite(values)
        if nodata is not None and np.isfinite(nodata):
            valid &= values != nodata
        there = values[valid]
        found += [float(there.mean()), float(there.std())] if there.size else [np.nan, np.nan]
    return found
