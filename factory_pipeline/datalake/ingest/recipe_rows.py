"""The samples of a recipe's fused file as rows of the data lake, batch by batch; rasters stay in the file."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.source_layout import SourceLayout, source_layouts
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
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA, METADATA_PREFIX, AnnotationType
from factory_pipeline.errors import LakeError
from factory_pipeline.hdf5.fields import DATA, PROVENANCE
from factory_pipeline.hdf5.opening import open_dataset
from factory_pipeline.hdf5.recipe_fields import EXTRA, LABEL, label_nodata
from factory_pipeline.imagery.band_steps import step_bands
from factory_pipeline.imagery.class_codes import code_band
from factory_pipeline.storage.parquet import BATCH_ROWS

LABELS = f"{DATA}/{LABEL}"
LABELLED = "labelled"
"""Label of polygons of a recipe that names no class."""
NO_TIME = np.iinfo(np.int64).min
LARGEST_FACTOR = 4
"""How much finer than the finest source the grid of an item may be, so that all sources fit it."""
TIME = ITEM_SCHEMA["datetime"]


@dataclass(frozen=True)
class LabelRasters:
    """The rasters that hold the labels of the samples of a file."""

    path: str
    """As in tables."""
    member: str
    first: int = 0
    """Row of the first sample of the file."""
    hashes: NDArray[np.uint8] | None = None
    """(rows, 32) the SHA-256 of the chunk of each row; None if they are computed of the file."""


@dataclass(frozen=True)
class RecipeBatch:
    """Some samples of a fused file."""

    items: pl.DataFrame
    """In ITEM_SCHEMA, with their metadata."""
    annotations: pl.DataFrame
    """Their labels, in ANNOTATION_SCHEMA."""


def recipe_batches(
    path: Path, name: str, recipe: DatasetRecipe, times: pl.DataFrame, labels: LabelRasters | None
) -> Iterator[RecipeBatch]:
    """Yield the samples of a fused file in their order; memory does not grow with their number.

    Args:
        path: the file.
        name: its path in tables; see `storage.relative_paths`.
        recipe: of the file.
        times: `id`, `start` and `end` of the labels, null for any time.
        labels: the rasters of its labels; None if it has none.

    Raises:
        DatasetFileError: it is truncated or not a dataset file.
        LakeError: a chunk of it is damaged, or an item can't have all its sources.
    """
    layouts = source_layouts(recipe)
    members = [f"{DATA}/{layout.name}{part}" for layout in layouts for part in ("", "_mask")]
    is_raster = recipe.labels.is_raster
    with open_dataset(path) as file, StoredChunks(path, file, members + [LABELS] * is_raster) as chunks:
        for rows in slices_of(range(len(file[LABELS])), BATCH_ROWS):
            near = _times_near(file, slice(rows.start, rows.stop), times)
            parts = []
            for some in slices_of(rows, ROWS_AT_ONCE):
                items = _items(file, some, name, recipe, near, chunks)
                parts.append((items, _annotations(file, some, recipe, items["id"], labels, chunks)))
            yield RecipeBatch(*concatenate(parts))


def are_dated(path: Path, recipe: DatasetRecipe, times: pl.DataFrame) -> bool:
    """Return whether all samples of a fused file have a time: the middle of their label's, else of a source.

    Args:
        path: the file.
        recipe: of the file.
        times: as for `recipe_batches`.
    """
    with open_dataset(path) as file:
        parts = [slice(start, start + BATCH_ROWS) for start in range(0, len(file[LABELS]), BATCH_ROWS)]
        return not any(
            _times(file, here, recipe, _times_near(file, here, times)).null_count() for here in parts
        )


def item_size(recipe: DatasetRecipe) -> int:
    """Return the pixels a side of the grid of an item: those of every source and of the label are whole.

    Raises:
        LakeError: such a grid would be much finer than any source.
    """
    sizes = {layout.name: layout.size for layout in source_layouts(recipe)}
    size = math.lcm(recipe.window.size, *sizes.values())
    if size > LARGEST_FACTOR * max(recipe.window.size, *sizes.values()):
        listed = ", ".join(f"{name} {pixels}" for name, pixels in sizes.items())
        raise LakeError(
            f"The samples of {recipe.name} can't be items: the pixels of their sources ({listed} a side; the"
            f" window {recipe.window.size}) do not fit one grid. Choose pixel sizes of which each is a"
            " multiple of the finest."
        )
    return size


def label_names(recipe: DatasetRecipe) -> dict[int, str] | None:
    """Return the name of each class of the labels; None of numbers."""
    target = recipe.labels.target
    if target is None:
        return {1: LABELLED}
    return None if target.classes is None else dict(target.classes)


def _items(
    file: h5py.File,
    rows: range,
    name: str,
    recipe: DatasetRecipe,
    times: pl.DataFrame,
    chunks: StoredChunks,
) -> pl.DataFrame:
    here, size = slice(rows.start, rows.stop), item_size(recipe)
    transforms = file[f"{DATA}/Transforms"][here, :6]
    # A finer grid on the same ground.
    transforms[:, [0, 1, 3, 4]] *= recipe.window.size / size
    codes = decode_texts(file[f"{DATA}/CRS"][here, 0])
    placed = pl.DataFrame(
        {
            "id": decode_texts(file[f"{PROVENANCE}/Id"][here, 0]),
            "datetime": _times(file, here, recipe, times),
            "split": [str(file.attrs["split"])] * len(rows),
            "width": [size] * len(rows),
            "height": [size] * len(rows),
            "proj:code": codes,
            "proj:transform": transforms.tolist(),
            "transform": transforms.tolist(),
            "epsg": [int(code.removeprefix("EPSG:")) for code in codes],
            "bounds": [None] * len(rows),
        },
        schema_overrides={
            "id": pl.String,
            "bounds": pl.List(pl.Float64),
            "transform": pl.List(pl.Float64),
        },
    )
    layouts = source_layouts(recipe)
    hashes = {layout.name: chunks.hashes(f"{DATA}/{layout.name}", rows) for layout in layouts}
    media = pl.DataFrame({"row": rows, **hashes}).select(
        pl.concat_list([_medium(layout, name) for layout in layouts]).alias("media")
    )
    return (
        placed.hstack(footprint_columns(placed))
        .hstack(media)
        .select(list(ITEM_SCHEMA))
        .cast(pl.Schema(ITEM_SCHEMA))
        .hstack(_metadata(file, rows, recipe, chunks, placed["id"], times))
    )


def _medium(layout: SourceLayout, name: str) -> pl.Expr:
    rgb, assets = layout.true_colour, layout.assets
    bands = [
        code_band(band) if band in assets and assets[band].is_categorical else band for band in layout.bands
    ]
    facts = {
        "bands": list(step_bands(bands, layout.count_of_steps)),
        "rgb": None if rgb is None else list(rgb),
        "dtype": layout.dtype.name,
        "nodata": _nodata_of(layout),
    }
    return media_of(layout.name, name, f"{DATA}/{layout.name}", facts, layout.name)


def _nodata_of(layout: SourceLayout) -> float:
    """Return the value without data of the bands that are measured; of categories alone, of the first one.

    Raises:
        LakeError: measured bands have different ones.
    """
    nodata = dict(zip(layout.bands, layout.nodata, strict=True))
    categories = {name for name, asset in layout.assets.items() if asset.is_categorical}
    measured = {band: value for band, value in nodata.items() if band not in categories} or nodata
    if len(set(map(str, measured.values()))) > 1:
        listed = ", ".join(f"{band} {value:g}" for band, value in measured.items())
        raise LakeError(
            f"The source {layout.name} can't be one raster of an item: its bands have different values"
            f" without data ({listed}). Give the recipe a source for each, or values: physical."
        )
    return next(iter(measured.values()))


def _ids(file: h5py.File, here: slice) -> pl.DataFrame:
    return pl.DataFrame({"id": decode_texts(file[f"{PROVENANCE}/Id"][here, 0])}, schema={"id": pl.String})


def _times_near(file: h5py.File, here: slice, times: pl.DataFrame) -> pl.DataFrame:
    """Return the times of the labels of samples: a join with all would look through all each time."""
    return times.join(_ids(file, here), on="id", how="semi")


def _times(file: h5py.File, here: slice, recipe: DatasetRecipe, times: pl.DataFrame) -> pl.Series:
    """Return the time of samples: the middle of their label's, else of their first source."""
    labels = _ids(file, here).join(times, on="id", how="left", maintain_order="left")
    start, end = pl.col("start"), pl.col("end")
    # The last moment of a day is a microsecond before the next.
    middle = pl.when(start == end).then(start).otherwise((start + (end - start) / 2).dt.round("1s"))
    found = [labels.select(middle.cast(TIME)).to_series()]
    for layout in source_layouts(recipe):
        if layout.collection.time != "none":
            taken = _taken(file, layout, here).list.drop_nulls().list.sort()
            found.append(taken.list.get((taken.list.len() - 1) // 2, null_on_oob=True))
    return pl.DataFrame({str(number): each for number, each in enumerate(found)}).select(
        pl.coalesce(pl.all()).alias("datetime")
    )["datetime"]


def _taken(file: h5py.File, layout: SourceLayout, here: slice) -> pl.Series:
    """Return when a source was taken, a list per sample with a time or null per step."""
    moments = file[f"{DATA}/{layout.name}_times"][here]
    lists = [[None if moment == NO_TIME else moment for moment in row] for row in moments.tolist()]
    return pl.Series(lists, dtype=pl.List(pl.Int64)).cast(pl.List(TIME))


def _metadata(
    file: h5py.File,
    rows: range,
    recipe: DatasetRecipe,
    chunks: StoredChunks,
    ids: pl.Series,
    times: pl.DataFrame,
) -> pl.DataFrame:
    """Return what is known of the samples; what the recipe carries along goes before what we call alike."""
    here = slice(rows.start, rows.stop)
    position = file[f"{PROVENANCE}/Lat Lon"][here]
    of_label = pl.DataFrame({"id": ids}).join(times, on="id", how="left", maintain_order="left")
    known: dict[str, pl.Series] = {
        "latitude": pl.Series(position[:, 0]),
        "longitude": pl.Series(position[:, 1]),
    }
    if recipe.labels.time is not None:
        known |= {"label_start": of_label["start"], "label_end": of_label["end"]}
    for layout in source_layouts(recipe):
        known |= _of_source(file, rows, layout, chunks)
    for name, dataset in file.get(EXTRA, {}).items():
        known[name] = _column(dataset[here])
    target = recipe.labels.target
    # A profile, several values per label, is one of the columns that are carried along.
    if target is not None and file[LABELS].shape[1:] == (1,):
        values = file[LABELS][here, 0]
        known[target.column] = (
            pl.Series([target.classes[code] for code in values.tolist()], dtype=pl.String)
            if target.classes is not None
            else pl.Series(values.astype(np.float64))
        )
    return pl.DataFrame({f"{METADATA_PREFIX}{name}": column for name, column in known.items()})


def _of_source(
    file: h5py.File, rows: range, layout: SourceLayout, chunks: StoredChunks
) -> Mapping[str, pl.Series]:
    here, name, steps = slice(rows.start, rows.stop), layout.name, layout.count_of_steps
    items = [decode_texts(row) for row in file[f"{PROVENANCE}/{name} Items"][here]]
    texts = pl.Series(items, dtype=pl.List(pl.String))
    shares = chunks.map_values(f"{DATA}/{name}_mask", rows, lambda mask: float(mask.mean()))
    known = {
        f"{name}_valid_share": pl.Series(shares, dtype=pl.Float64),
        f"{name}_items": texts if steps > 1 else texts.list.first(),
    }
    if layout.collection.time != "none":
        taken = _taken(file, layout, here)
        known |= {f"{name}_datetimes": taken} if steps > 1 else {f"{name}_datetime": taken.list.first()}
    return known


def _annotations(
    file: h5py.File,
    rows: range,
    recipe: DatasetRecipe,
    ids: pl.Series,
    labels: LabelRasters | None,
    chunks: StoredChunks,
) -> pl.DataFrame:
    nothing, names = label_nodata(recipe), label_names(recipe)
    if labels is None:
        return raster_annotations(_LABEL_ROWS.clear(), AnnotationType.MASK, "", "", nothing)
    first = labels.first
    hashes = (
        chunks.hashes(LABELS, rows)
        if labels.hashes is None
        else [digest.tobytes().hex() for digest in labels.hashes[first + rows.start : first + rows.stop]]
    )
    frame = pl.DataFrame(
        {"item": ids, "row": range(first + rows.start, first + rows.stop), "sha256": hashes},
        schema_overrides={"row": pl.Int64, "sha256": pl.String},
    )
    if names is None:
        target = recipe.labels.target
        assert target is not None
        measured = frame.with_columns(value=pl.lit(None, pl.Int64), label=pl.lit(target.column))
        return raster_annotations(measured, AnnotationType.RASTER, labels.path, labels.member, nothing)
    if recipe.labels.is_raster:
        there = chunks.map_values(LABELS, rows, lambda codes: _classes_in(codes, names))
    else:
        there = [[code] for code in file[LABELS][rows.start : rows.stop, 0].tolist()]
    frame = frame.with_columns(value=pl.Series(there, dtype=pl.List(pl.Int64)))
    frame = frame.explode("value", empty_as_null=False)
    frame = frame.with_columns(label=pl.col("value").replace_strict(names, return_dtype=pl.String))
    return raster_annotations(frame, AnnotationType.MASK, labels.path, labels.member, nothing)


_LABEL_ROWS = pl.DataFrame(
    schema={
        "item": pl.String(),
        "row": pl.Int64(),
        "sha256": pl.String(),
        "value": pl.Int64(),
        "label": pl.String(),
    }
)


def _classes_in(codes: NDArray[Any], names: Mapping[int, str]) -> list[int]:
    return [code for code in np.unique(codes).tolist() if code in names]


def _column(values: NDArray[Any]) -> pl.Series:
    """Return what is carried along as the file has it: an empty text is none, and `u1` is true or false.

    Several values per sample are a list.
    """
    if values.shape[1:] != (1,):
        return pl.Series(values.astype(np.float64).tolist(), dtype=pl.List(pl.Float64))
    values = values[:, 0]
    if values.dtype.kind == "S":
        texts = pl.Series(decode_texts(values), dtype=pl.String)
        return texts.set(texts == "", None)
    if values.dtype == np.uint8:
        return pl.Series(values.astype(np.bool_))
    return pl.Series(values.astype(np.int64 if values.dtype.kind == "i" else np.float64))
