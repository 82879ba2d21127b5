"""Image pairs and their fields as a collection: a pair is an item, its field a raster of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl

from factory_pipeline.datalake.registry.records import Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.items import write_items_table
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA, METADATA_PREFIX
from factory_pipeline.errors import PairFileError
from factory_pipeline.hdf5.row_checksum import row_sha256
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home
from factory_pipeline.storage.slug import slug
from factory_pipeline.volumes.pair_files import images_of, pairs_table

PAIR, FIELD = "pair", "field"
"""Modalities of an item: two sections, and the two channels of the field of the first of them."""
BANDS = {PAIR: ("src", "tgt"), FIELD: ("along_y", "along_x")}
NO_DATA = {PAIR: 0.0, FIELD: None}
CORRELATION = {"correlation_before": 0, "correlation_after": 1}
"""Metadata of an item: columns of the dataset `correlation` of a file of generated fields."""


def collect_pairs(registry: Registry, home: FactoryHome, name: str, images: Path, fields: Path) -> Collection:
    """Register image pairs and their fields as a collection; the same files again are the same collection.

    The rasters stay in their files, rows of which an item names. The table of pairs beside the images has the
    splits and what is known of each pair; rejected pairs are no items.

    Args:
        registry: where it is registered.
        home: where its tables are written.
        name: of the collection.
        images: file of image pairs, beside it the table of pairs.
        fields: file of their fields, of the same number and size.

    Raises:
        PairFileError: a file is missing or damaged, or the files don't fit each other.
    """
    table = pairs_table(images)
    for path in (images, fields, table):
        if not path.is_file():
            raise PairFileError(f"There is no file {path}.")
    content = sha256("\n".join(sha256_of(path) for path in (images, fields, table)).encode()).hexdigest()
    name = slug(name)
    place = home.collection(name, content)
    if not place.items.exists():
        write_items_table(place.items, _items(images, fields, table, home), collection=name)
    rows = pl.scan_parquet(place.items).select(pl.len()).collect().item()
    return registry.add_collection(
        name,
        CollectionSource.PAIRS,
        items_path=relative_to_home(place.items, home),
        item_count=rows,
        content_hash=content,
    )


def _items(images: Path, fields: Path, table: Path, home: FactoryHome) -> pl.DataFrame:
    """The items in the order of the files, in ITEM_SCHEMA with their metadata."""
    pairs = pl.read_parquet(table).drop_nulls("row").sort("row")
    with _open_file(images) as pair_file, _open_file(fields) as field_file:
        rasters = {PAIR: images_of(pair_file), FIELD: images_of(field_file)}
        shapes = {dataset.shape for dataset in rasters.values()}
        if len(shapes) > 1 or pairs["row"].to_list() != list(range(len(rasters[PAIR]))):
            raise PairFileError(
                f"{images} has pairs of shape {rasters[PAIR].shape}, {fields} has {rasters[FIELD].shape} and"
                f" {table} lists {pairs.height}; all must be the same pairs."
            )
        width, height = rasters[PAIR].shape[3], rasters[PAIR].shape[2]
        media = [
            [
                _medium(rasters[modality], modality, row, relative_to_home(path, home))
                for modality, path in ((PAIR, images), (FIELD, fields))
            ]
            for row in range(pairs.height)
        ]
        scores = field_file["correlation"][:].astype(np.float64) if "correlation" in field_file else None
    if scores is not None:
        pairs = pairs.with_columns(
            **{key: pl.Series(scores[:, column]) for key, column in CORRELATION.items()}
        )
    items = pairs.select(
        pl.format(
            "{}_x{}_y{}_z{}_z{}",
            pl.col("row").cast(pl.String).str.zfill(6),
            "src_x",
            "src_y",
            "src_z",
            "tgt_z",
        ).alias("id"),
        "split",
        pl.lit(width).alias("width"),
        pl.lit(height).alias("height"),
        pl.Series("media", media, dtype=ITEM_SCHEMA["media"]),
        *(
            pl.lit(None).alias(column)
            for column in ("datetime", "geometry", "bbox", "proj:code", "proj:transform")
        ),
    )
    known = pairs.drop("row", "split", "reason", strict=False)
    return (
        items.select(list(ITEM_SCHEMA))
        .cast(pl.Schema(ITEM_SCHEMA))
        .hstack(known.rename(lambda column: METADATA_PREFIX + column))
    )


def _medium(dataset: h5py.Dataset, modality: str, row: int, path: str) -> dict[str, Any]:
    return {
        "modality": modality,
        "path": path,
        "member": str(dataset.name).removeprefix("/"),
        "row": row,
        "bands": list(BANDS[modality]),
        "rgb": None,
        "dtype": dataset.dtype.name,
        "nodata": NO_DATA[modality],
        "sha256": row_sha256(dataset, row),
    }


@contextmanager
def _open_file(path: Path) -> Iterator[h5py.File]:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise PairFileError(f"{path} is not an HDF5 file, or is damaged.") from error
    with file:
        yield file
