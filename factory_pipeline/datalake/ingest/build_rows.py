"""The samples of a fused file as rows of the data lake, batch by batch; rasters stay in the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.datalake.ingest.item_footprints import footprint_columns
from factory_pipeline.datalake.ingest.raster_rows import (
    ROWS_AT_ONCE,
    concatenate,
    decode_texts,
    media_of,
    raster_annotations,
    slices_of,
)
from factory_pipeline.datalake.ingest.stored_chunks import StoredChunks
from factory_pipeline.datalake.tables.schemas import (
    ITEM_SCHEMA,
    METADATA_PREFIX,
    AnnotationType,
)
from factory_pipeline.errors import LakeError
from factory_pipeline.hdf5.fields import DATA, PROVENANCE
from factory_pipeline.hdf5.opening import open_dataset
from factory_pipeline.hdf5.read import shot_time
from factory_pipeline.hdf5.schema import WORLDCOVER_CLASSES, WORLDCOVER_NODATA
from factory_pipeline.storage.parquet import BATCH_ROWS

LAND_COVER = f"{DATA}/WorldCover"
BIOMASS = f"{DATA}/AGBD Raster"
MEMBERS = {"S2": f"{DATA}/Sentinel-2 L2A", "WorldCover": LAND_COVER, "CopDEM": f"{DATA}/CopDEM"}
"""The dataset of each modality in the file; Sentinel-2 is used by formats of a single image."""
TRUE_COLOR = ("B04", "B03", "B02")
BIOMASS_LABEL = "AGBD"

METADATA = {
    "agbd": (f"{DATA}/AGBD Values", 0),
    "agbd_se": (f"{DATA}/AGBD Standard Error", 0),
    "latitude": (f"{PROVENANCE}/Lat Lon", 0),
    "longitude": (f"{PROVENANCE}/Lat Lon", 1),
    "granule": (f"{PROVENANCE}/GEDI Granule", 0),
    "beam": (f"{PROVENANCE}/GEDI Beam", 0),
    "s2_item": (f"{PROVENANCE}/Sentinel-2 Item", 0),
    "baseline": (f"{PROVENANCE}/Sentinel-2 Baseline", 0),
    "dem_items": (f"{PROVENANCE}/CopDEM Items", 0),
    "worldcover_items": (f"{PROVENANCE}/WorldCover Items", 0),
}
"""Metadata of an item: from which dataset of the file, and which column of it."""


@dataclass(frozen=True)
class SampleBatch:
    """Some samples of a fused file."""

    items: pl.DataFrame
    """In ITEM_SCHEMA, with METADATA."""
    biomass: pl.DataFrame
    """The label raster of each, in ANNOTATION_SCHEMA."""
    land_cover: pl.DataFrame
    """A mask per sample and class of WorldCover that occurs there, in ANNOTATION_SCHEMA."""


def sample_batches(path: Path, name: str) -> Iterator[SampleBatch]:
    """Yield the samples of a fused file in their order; memory does not grow with their number.

    The chunks are hashed as they are stored; only those of WorldCover are decoded, for their classes.

    Args:
        path: the file.
        name: its path in tables; see `storage.relative_paths`.

    Raises:
        DatasetFileError: it is truncated or not a dataset file.
        LakeError: a chunk of it is damaged.
    """
    members = (*MEMBERS.values(), BIOMASS)
    with open_dataset(path) as file, StoredChunks(path, file, members) as chunks:
        for rows in slices_of(range(len(file[BIOMASS])), BATCH_ROWS):
            yield SampleBatch(
                *concatenate(
                    _tables_of(path, file, chunks, some, name) for some in slices_of(rows, ROWS_AT_ONCE)
                )
            )


def _tables_of(
    path: Path, file: h5py.File, chunks: StoredChunks, rows: range, name: str
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the tables of a SampleBatch."""
    hashes = {member: chunks.hashes(member, rows) for member in (*MEMBERS.values(), BIOMASS)}
    items = _items(file, rows, name, hashes)
    codes = chunks.map_values(LAND_COVER, rows, _codes_in)
    classes = [_require_known(each, row, path) for each, row in zip(codes, rows, strict=True)]
    return (
        items,
        _biomass(file, items["id"], rows, name, hashes[BIOMASS]),
        _land_cover(items["id"], rows, name, hashes[LAND_COVER], classes),
    )


def _items(file: h5py.File, rows: range, name: str, hashes: dict[str, list[str]]) -> pl.DataFrame:
    here = slice(rows.start, rows.stop)
    height, width = file[BIOMASS].shape[-2:]
    transforms = file[f"{DATA}/Transforms"][here].astype(np.float64)
    codes = decode_texts(file[f"{DATA}/CRS"][here, 0])
    seconds = file[f"{DATA}/GEDI Delta Time"][here, 0].astype(np.float64)
    split = str(file.attrs["split"])
    placed = pl.DataFrame(
        {
            "id": file[f"{DATA}/GEDI Shot Number"][here, 0].astype(str).tolist(),
            "datetime": [shot_time(second).replace(tzinfo=UTC) for second in seconds.tolist()],
            "split": [split] * len(rows),
            "width": [width] * len(rows),
            "height": [height] * len(rows),
            "proj:code": codes,
            "proj:transform": transforms[:, :6].tolist(),
            "transform": transforms[:, :6].tolist(),
            "epsg": [int(code.removeprefix("EPSG:")) for code in codes],
            "bounds": [None] * len(rows),
        },
        schema_overrides={"bounds": pl.List(pl.Float64), "transform": pl.List(pl.Float64)},
    )
    media = pl.DataFrame({"row": rows, **hashes}).select(
        pl.concat_list([_medium(file[member], modality, name) for modality, member in MEMBERS.items()]).alias(
            "media"
        )
    )
    metadata = {
        f"{METADATA_PREFIX}{key}": _column(file[member][here, column])
        for key, (member, column) in METADATA.items()
    }
    return (
        placed.hstack(footprint_columns(placed))
        .hstack(media)
        .select(list(ITEM_SCHEMA))
        .cast(pl.Schema(ITEM_SCHEMA))
        .hstack(pl.DataFrame(metadata))
    )


def _medium(dataset: h5py.Dataset, modality: str, name: str) -> pl.Expr:
    bands = list(dataset.attrs["band_names"])
    rgb = [bands.index(band) for band in TRUE_COLOR] if set(TRUE_COLOR) <= set(bands) else None
    facts = {
        "bands": bands,
        "rgb": rgb,
        "dtype": dataset.dtype.name,
        "nodata": float(dataset.attrs["nodata"]),
    }
    member = dataset.name.removeprefix("/")
    return media_of(modality, name, member, facts, member)


def _biomass(file: h5py.File, ids: pl.Series, rows: range, name: str, hashes: list[str]) -> pl.DataFrame:
    frame = pl.DataFrame({"item": ids, "row": rows, "sha256": hashes, "label": [BIOMASS_LABEL] * len(rows)})
    frame = frame.with_columns(value=pl.lit(None, pl.Int64))
    return raster_annotations(
        frame, AnnotationType.RASTER, name, BIOMASS, float(file[BIOMASS].attrs["nodata"])
    )


def _land_cover(
    ids: pl.Series, rows: range, name: str, hashes: list[str], classes: list[list[int]]
) -> pl.DataFrame:
    frame = pl.DataFrame(
        {"item": ids, "row": rows, "sha256": hashes, "value": classes},
        schema_overrides={"value": pl.List(pl.Int64)},
    )
    frame = frame.explode("value").drop_nulls("value")
    frame = frame.with_columns(
        label=pl.col("value").replace_strict(WORLDCOVER_CLASSES, return_dtype=pl.String)
    )
    return raster_annotations(frame, AnnotationType.MASK, name, LAND_COVER, float(WORLDCOVER_NODATA))


def _column(values: NDArray[Any]) -> pl.Series:
    if values.dtype.kind == "S":
        return pl.Series(decode_texts(values), dtype=pl.String)
    return pl.Series(values.astype(np.float64))


def _codes_in(values: NDArray[Any]) -> list[int]:
    codes: list[int] = np.flatnonzero(np.bincount(values.reshape(-1))).tolist()
    return codes


def _require_known(codes: list[int], row: int, path: Path) -> list[int]:
    """Return the land cover codes of a sample without no data."""
    there = [code for code in codes if code != WORLDCOVER_NODATA]
    if unknown := [code for code in there if code not in WORLDCOVER_CLASSES]:
        raise LakeError(
            f"Sample {row} of {path} has the land cover code {unknown[0]}; WorldCover's are"
            f" {', '.join(map(str, WORLDCOVER_CLASSES))}."
        )
    return there
