"""The samples of a fused file as rows of the lake, batch by batch; rasters stay where they are."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.datalake.ingest.item_footprints import footprint_columns
from factory_pipeline.datalake.ingest.read_raster import WORKERS
from factory_pipeline.datalake.tables.annotations import NOTHING
from factory_pipeline.datalake.tables.schemas import (
    ANNOTATION_SCHEMA,
    ITEM_SCHEMA,
    LABEL_RASTER,
    MEDIA,
    METADATA_PREFIX,
    AnnotationType,
)
from factory_pipeline.errors import LakeError
from factory_pipeline.hdf5.codec import decode_chunk
from factory_pipeline.hdf5.layout import ChunkIndex
from factory_pipeline.hdf5.opening import open_dataset
from factory_pipeline.hdf5.read import shot_time
from factory_pipeline.hdf5.schema import DATA, PROVENANCE, WORLDCOVER_CLASSES, WORLDCOVER_NODATA
from factory_pipeline.storage.parquet import BATCH_ROWS

LAND_COVER = f"{DATA}/WorldCover"
BIOMASS = f"{DATA}/AGBD Raster"
MEMBERS = {"S2": f"{DATA}/Sentinel-2 L2A", "WorldCover": LAND_COVER, "CopDEM": f"{DATA}/CopDEM"}
"""Where the raster of each modality lies in the file; Sentinel-2 is what a format of one image takes."""
TRUE_COLOR = ("B04", "B03", "B02")
BIOMASS_LABEL = "AGBD"
SAMPLES_PER_TASK = 256

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
    """The samples of a fused file in their order; memory does not grow with their number.

    The chunks are hashed as they are stored; only those of WorldCover are decoded, for their classes.

    Args:
        path: the file.
        name: what tables call it; see `lake.places`.

    Raises:
        DatasetFileError: it is truncated or no dataset file.
        LakeError: a chunk of it is damaged.
    """
    with open_dataset(path) as file, _Chunks(path, file) as chunks:
        length = len(file[BIOMASS])
        # A file without samples gives one batch without any, which has the columns.
        for start in range(0, max(length, 1), BATCH_ROWS):
            rows = range(start, min(start + BATCH_ROWS, length))
            hashes = {member: chunks.hashes(member, rows) for member in (*MEMBERS.values(), BIOMASS)}
            items = _items(file, rows, name, hashes)
            yield SampleBatch(
                items,
                _biomass(file, items["id"], rows, name, hashes[BIOMASS]),
                _land_cover(items["id"], rows, name, hashes[LAND_COVER], chunks.classes(rows)),
            )


def _items(file: h5py.File, rows: range, name: str, hashes: dict[str, list[str]]) -> pl.DataFrame:
    here = slice(rows.start, rows.stop)
    height, width = file[BIOMASS].shape[-2:]
    transforms = file[f"{DATA}/Transforms"][here].astype(np.float64)
    codes = _texts(file[f"{DATA}/CRS"][here, 0])
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
        pl.concat_list([_medium(file[member], modality, name) for modality, member in MEMBERS.items()])
        .cast(pl.List(MEDIA))
        .alias("media")
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
    member = dataset.name.removeprefix("/")
    return pl.struct(
        pl.lit(modality).alias("modality"),
        pl.lit(name).alias("path"),
        pl.lit(member).alias("member"),
        pl.col("row").cast(pl.Int64),
        pl.lit(bands, pl.List(pl.String)).alias("bands"),
        pl.lit(rgb, pl.List(pl.Int64)).alias("rgb"),
        pl.lit(dataset.dtype.name).alias("dtype"),
        pl.lit(float(dataset.attrs["nodata"])).alias("nodata"),
        pl.col(member).alias("sha256"),
    )


def _biomass(file: h5py.File, ids: pl.Series, rows: range, name: str, hashes: list[str]) -> pl.DataFrame:
    frame = pl.DataFrame({"item": ids, "row": rows, "sha256": hashes, "label": [BIOMASS_LABEL] * len(rows)})
    frame = frame.with_columns(value=pl.lit(None, pl.Int64))
    return _annotations(frame, AnnotationType.RASTER, name, BIOMASS, float(file[BIOMASS].attrs["nodata"]))


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
    return _annotations(frame, AnnotationType.MASK, name, LAND_COVER, float(WORLDCOVER_NODATA))


def _annotations(
    frame: pl.DataFrame, kind: AnnotationType, name: str, member: str, nodata: float
) -> pl.DataFrame:
    raster = pl.struct(
        pl.lit(name).alias("path"),
        pl.lit(member).alias("member"),
        pl.col("row").cast(pl.Int64),
        "value",
        pl.lit(nodata).alias("nodata"),
        "sha256",
    )
    return frame.select(
        "item",
        pl.lit(kind.value).alias("type"),
        "label",
        pl.lit(None).alias("bbox"),
        pl.lit(None).alias("rings"),
        raster.cast(LABEL_RASTER).alias("raster"),
        pl.lit(None).alias("confidence"),
        pl.lit(NOTHING).alias("metadata"),
        pl.lit(NOTHING).alias("attributes"),
    ).cast(pl.Schema(ANNOTATION_SCHEMA))


def _column(values: NDArray[Any]) -> pl.Series:
    if values.dtype.kind == "S":
        return pl.Series(_texts(values), dtype=pl.String)
    return pl.Series(values.astype(np.float64))


def _texts(values: NDArray[Any]) -> list[str]:
    return [value.decode() for value in values.tolist()]


class _Chunks:
    """The stored chunks of a fused file, read by position in threads, outside HDF5 and its one lock."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self._path = path
        try:
            self._indexes = {member: ChunkIndex.of(file[member]) for member in (*MEMBERS.values(), BIOMASS)}
        except ValueError as error:
            raise LakeError(f"The dataset file {path} is damaged: {error}.") from error
        self._layer = file[LAND_COVER].dtype, file[LAND_COVER].shape[1:]

    def __enter__(self) -> "_Chunks":
        self._descriptor = os.open(self._path, os.O_RDONLY)
        self._pool = ThreadPoolExecutor(WORKERS)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        os.close(self._descriptor)

    def hashes(self, member: str, rows: range) -> list[str]:
        """SHA-256 in hex of the stored chunk of each sample."""

        def some(part: range) -> list[str]:
            return [sha256(self._stored(member, row)).hexdigest() for row in part]

        return self._in_parts(some, rows)

    def classes(self, rows: range) -> list[list[int]]:
        """The land cover codes that occur in each sample, ascending."""
        dtype, shape = self._layer

        def some(part: range) -> list[list[int]]:
            decoded = np.empty(shape, dtype)
            found = []
            for row in part:
                try:
                    decode_chunk(self._stored(LAND_COVER, row), decoded)
                except ValueError as error:
                    raise LakeError(f"Sample {row} of {self._path} is damaged: {error}.") from error
                codes = np.flatnonzero(np.bincount(decoded.reshape(-1))).tolist()
                found.append(self._known(codes, row))
            return found

        return self._in_parts(some, rows)

    def _known(self, codes: list[int], row: int) -> list[int]:
        there = [code for code in codes if code != WORLDCOVER_NODATA]
        if unknown := [code for code in there if code not in WORLDCOVER_CLASSES]:
            raise LakeError(
                f"Sample {row} of {self._path} has the land cover code {unknown[0]}; WorldCover's are"
                f" {', '.join(map(str, WORLDCOVER_CLASSES))}."
            )
        return there

    def _stored(self, member: str, row: int) -> bytes:
        index = self._indexes[member]
        return os.pread(self._descriptor, int(index.sizes[row]), int(index.offsets[row]))

    def _in_parts(self, task: Any, rows: range) -> list[Any]:
        parts = [rows[start : start + SAMPLES_PER_TASK] for start in range(0, len(rows), SAMPLES_PER_TASK)]
        return [found for part in self._pool.map(task, parts) for found in part]
