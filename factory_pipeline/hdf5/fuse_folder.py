"""Fusing the files of a folder into one file per split, whatever software made them."""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import h5py
import numpy as np

from factory_pipeline.config.recipe import DateRange, Recipe
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.codec import encode_chunk
from factory_pipeline.hdf5.fields import DATA, Field
from factory_pipeline.hdf5.fuse import fuse_datasets
from factory_pipeline.hdf5.layout import lay_out
from factory_pipeline.hdf5.opening import (
    bands_of,
    is_own,
    missing_fields,
    open_samples,
    own_recipe,
    read_values,
    recipe_of,
)
from factory_pipeline.hdf5.schema import dataset_fields
from factory_pipeline.hdf5.tables import RowWriter, row_dtype
from factory_pipeline.processors import processor_count
from factory_pipeline.storage.atomic import atomic_write

SHOTS = f"{DATA}/GEDI Shot Number"
TIMES = f"{DATA}/GEDI Delta Time"
AT_ONCE = 256
"""Samples that are read at a time: bounds the memory."""
NAMED_AT_MOST = 3
_FIRST_DAY = date(2018, 1, 1)


def fuse_folder(paths: Sequence[Path], outputs: Mapping[str, Path]) -> dict[str, int]:
    """Fuse dataset files into one file per split; return the samples by split.

    Files that this software made keep everything, and chunks are copied as they are stored. Of files of
    others, and where both are mixed, the group `data` is taken and stored as ours is: any compression, any
    type of text, columns of one value with or without an axis of their own.

    A file's split is what it says; else a split's name in the file's name (`train_0001.h5`); else the split
    of all its shots' days.

    Args:
        paths: the files, in the order of their samples.
        outputs: where the fused file of each split goes.

    Raises:
        DatasetFileError: a file is not whole or lacks a dataset, a shot stands in more than one place, or a
            file's split can't be told. Nothing is written then.
    """
    _refuse_repeated_shots(paths)
    by_split: dict[str, list[Path]] = {}
    own: dict[Path, bool] = {}
    recipes: dict[Path, Recipe] = {}
    lengths: dict[Path, int] = {}
    for path in paths:
        with open_samples(path) as file:
            by_split.setdefault(_split_of(file, path, list(outputs)), []).append(path)
            own[path] = is_own(file)
            lengths[path] = len(file[SHOTS])
            if own[path]:
                recipes[path] = own_recipe(file)
    samples = {}
    for split, members in by_split.items():
        output = outputs[split] if split in outputs else _sibling_path(outputs, split)
        if all(own[path] for path in members):
            expected = [lengths[path] for path in members]
            samples[split] = fuse_datasets(members, output, recipes[members[0]], split, expected)
        else:
            samples[split] = _fuse_samples(members, output, split)
    return samples


def _sibling_path(outputs: Mapping[str, Path], split: str) -> Path:
    """Return where the file of a split goes that a recipe of its own has named."""
    name, path = next(iter(outputs.items()))
    return path.with_name(path.name.replace(name, split, 1))


def _refuse_repeated_shots(paths: Sequence[Path]) -> None:
    """Raise a DatasetFileError where a shot stands twice, in one file or in two, of whatever splits."""
    shots, places = [], []
    for place, path in enumerate(paths):
        with open_samples(path) as file:
            if (recipe := recipe_of(file)) is not None:
                raise DatasetFileError(
                    f"The file {path} is of the recipe {recipe.name}; create-dataset --recipe fuses them."
                )
            if SHOTS not in file:
                raise DatasetFileError(f"The file {path} lacks {SHOTS}.")
            found = np.asarray(file[SHOTS][:]).reshape(-1).astype(np.int64)
        shots.append(found)
        places.append(np.full(len(found), place, np.int32))
    every, origin = np.concatenate(shots), np.concatenate(places)
    order = np.argsort(every, kind="stable")
    again = np.flatnonzero(every[order][1:] == every[order][:-1])
    if not again.size:
        return
    repeated = np.unique(every[order][again])
    named = []
    for shot in repeated[:NAMED_AT_MOST].tolist():
        files = " and ".join(paths[place].name for place in np.unique(origin[every == shot]).tolist())
        named.append(f"{shot} in {files}")
    raise DatasetFileError(
        f"Nothing was fused: {len(repeated):,} shots occur more than once in the {len(paths)} files in"
        f" {paths[0].parent} ({'; '.join(named)}{'; ...' if len(repeated) > NAMED_AT_MOST else ''}). Leave"
        " the files of one build, or of one way of dividing it, in the folder."
    )


def _split_of(file: h5py.File, path: Path, splits: Sequence[str]) -> str:
    if "split" in file.attrs:
        return str(file.attrs["split"])
    words = re.split(r"[^a-z]+", path.stem.lower())
    named = [split for split in splits if split.lower() in words]
    if len(named) == 1:
        return named[0]
    if TIMES in file and len(file[TIMES]):
        seconds = np.asarray(file[TIMES][:]).reshape(-1).astype(np.float64)
        first, last = (_FIRST_DAY + timedelta(seconds=float(edge)) for edge in (seconds.min(), seconds.max()))
        for split, days in Recipe().splits.items():
            if _contains_day(days, first) and _contains_day(days, last):
                return split
    raise DatasetFileError(
        f"The file {path} does not say of which split it is, and its shots are not of one split's days; put"
        f" {' or '.join(splits)} into its name, such as {splits[0]}_{path.name}."
    )


def _contains_day(days: DateRange, day: date) -> bool:
    return days.start <= day <= days.end


def _fuse_samples(paths: Sequence[Path], output: Path, split: str) -> int:
    """Write the samples of files of any software to one file, atomically."""
    with open_samples(paths[0]) as first:
        bands, window = bands_of(first), first["data/Sentinel-2 L2A"].shape[-1]
    fields = tuple(field for field in dataset_fields(bands, window) if field.group == DATA)
    total = 0
    problems = []
    for path in paths:
        with open_samples(path) as file:
            total += len(file[SHOTS])
            if bands_of(file) != bands:
                problems.append(f"{path.name}: it has other bands than {paths[0].name}.")
            if found := missing_fields(file, fields):
                problems.append(f"{path.name}: {'; '.join(found)}.")
    if problems:
        raise DatasetFileError(
            f"{output} can't be fused: {len(problems)} of {len(paths)} files are not right."
            f" {' '.join(problems)}"
        )
    with atomic_write(output) as temporary, h5py.File(temporary, "w", track_order=False) as target:
        lay_out(target, fields, total, None, split)
        writer = RowWriter(target, fields)
        start = 0
        with ThreadPoolExecutor(min(4, processor_count())) as pool:
            for path in paths:
                with open_samples(path) as source:
                    length = len(source[SHOTS])
                    for begin in range(0, length, AT_ONCE):
                        end = min(begin + AT_ONCE, length)
                        _copy_samples(source, target, fields, begin, end, start + begin, writer, pool)
                start += length
        writer.finish()
    return total


def _copy_samples(
    source: h5py.File,
    target: h5py.File,
    fields: Sequence[Field],
    begin: int,
    end: int,
    position: int,
    writer: RowWriter,
    pool: ThreadPoolExecutor,
) -> None:
    """Copy samples `begin` to `end` of a file to `position` of the target, in the target's storage."""
    rows = np.empty(end - begin, row_dtype(fields))
    for field in fields:
        try:
            values = read_values(source, field, begin, end)
        except (OSError, RuntimeError) as error:
            raise DatasetFileError(f"The file {source.filename} is damaged in {field.path}.") from error
        if not field.is_raster:
            rows[field.path] = values
            continue
        for sample, chunk in enumerate(pool.map(encode_chunk, values)):
            target[field.path].id.write_direct_chunk((position + sample, 0, 0, 0), chunk)
    writer.append(rows)
