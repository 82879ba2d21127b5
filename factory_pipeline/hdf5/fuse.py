"""Fusing batch files into one dataset file: chunks are copied as they are stored."""

import mmap
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import DatasetFileError, IncompleteBuildError
from factory_pipeline.hdf5.codec import Compression
from factory_pipeline.hdf5.fields import PROVENANCE, Field
from factory_pipeline.hdf5.layout import TABLE_CHUNK, ChunkIndex, StoredRecipe, compression_of, lay_out
from factory_pipeline.hdf5.opening import open_dataset, schema_differences
from factory_pipeline.hdf5.recipe_fields import recipe_fields
from factory_pipeline.hdf5.schema import dataset_fields
from factory_pipeline.hdf5.tables import RowWriter, read_rows, row_dtype
from factory_pipeline.storage.atomic import atomic_write

Fields = tuple[Field, ...]
Positions = NDArray[np.int64]
BATCH = f"{PROVENANCE}/Batch"


def fuse_datasets(
    paths: Sequence[Path],
    output: Path,
    recipe: Recipe | DatasetRecipe,
    split: str,
    expected: Sequence[int],
    *,
    extra: Mapping[str, np.dtype[Any]] | None = None,
    shuffle_seed: int | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> int:
    """Write every sample of every batch file to `output`, atomically, and return how many these are.

    The same batches in the same order give the same bytes, however the samples are divided into batches.
    Memory does not grow with the dataset.

    Args:
        paths: batch files in their order; a file's name without `.h5` is its batch's.
        output: the fused file.
        recipe: stored in the fused file; all batches were extracted by its extraction part.
        split: stored in the fused file; all batches are of it.
        expected: how many samples each batch file must hold, as the plan and the ledger say.
        extra: columns that are carried along, with their types; of a `DatasetRecipe` alone.
        shuffle_seed: puts the samples in a random order, the same for the same seed; None keeps their order.
        on_batch: told after each batch how many of how many are done.

    Raises:
        IncompleteBuildError: a batch file is missing.
        DatasetFileError: a batch file is truncated, of another schema, split or extraction recipe, or does
            not hold the samples that it must. Either error names every offending batch.
    """
    fields = _fields(recipe, extra or {})
    _verify(paths, output, recipe, fields, split, expected)
    total = sum(expected)
    positions: Positions = np.arange(total)
    if shuffle_seed is not None:
        positions = np.random.default_rng(shuffle_seed).permutation(total)
    with atomic_write(output) as temporary, h5py.File(temporary, "w", track_order=False) as target:
        lay_out(target, fields, total, recipe, split)
        with _row_sink(target, fields, shuffle_seed is not None, output.parent) as put_rows:
            start = 0
            for done, (path, length) in enumerate(zip(paths, expected, strict=True), start=1):
                _copy_batch(path, target, fields, positions[start : start + length], put_rows)
                start += length
                if on_batch:
                    on_batch(done, len(paths))
    return total


def _fields(recipe: Recipe | DatasetRecipe, extra: Mapping[str, np.dtype[Any]]) -> Fields:
    if isinstance(recipe, Recipe):
        return dataset_fields(recipe.sentinel2.bands, recipe.window_size)
    return recipe_fields(recipe, extra)


def _copy_batch(
    path: Path,
    target: h5py.File,
    fields: Fields,
    positions: Positions,
    put_rows: Callable[[NDArray[np.void], Positions], None],
) -> None:
    """Copy a batch; `positions` says where in the target each of its samples goes."""
    rasters = [field.path for field in fields if field.is_raster]
    with open_dataset(path) as source, _map_file(path) as stored:
        try:
            indexes = [ChunkIndex.of(source[raster]) for raster in rasters]
        except ValueError as error:
            raise DatasetFileError(f"The batch file {path} is damaged: {error}.") from error
        # HDF5 is asked for a shape once, not for each chunk: it would copy the dataset's space every time.
        targets = [(target[raster].id, (0,) * len(target[raster].shape[1:])) for raster in rasters]
        places = [(index.offsets.tolist(), index.sizes.tolist()) for index in indexes]
        for sample, position in enumerate(positions.tolist()):
            for (offsets, sizes), (raster, corner) in zip(places, targets, strict=True):
                offset = offsets[sample]
                raster.write_direct_chunk((position, *corner), stored[offset : offset + sizes[sample]])
        for start in range(0, len(positions), TABLE_CHUNK):
            some = positions[start : start + TABLE_CHUNK]
            put_rows(read_rows(source, fields, start, start + len(some)), some)


@contextmanager
def _map_file(path: Path) -> Iterator[mmap.mmap]:
    """Yield the bytes of a file: a slice of it costs no system call."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stored:
        yield stored


@contextmanager
def _row_sink(
    target: h5py.File, fields: Fields, shuffled: bool, folder: Path
) -> Iterator[Callable[[NDArray[np.void], Positions], None]]:
    """Take rows with their positions and store them in order.

    Rows that come out of order wait in a scratch file on disk: rows are stored in compressed blocks.
    """
    writer = RowWriter(target, fields)
    total = len(target[fields[0].path])
    if not shuffled or not total:
        yield lambda rows, _: writer.append(rows)
    else:
        with tempfile.TemporaryFile(dir=folder) as scratch:
            waiting = np.memmap(scratch, row_dtype(fields), "w+", shape=total)

            def put(rows: NDArray[np.void], positions: Positions) -> None:
                waiting[positions] = rows

            yield put
            for start in range(0, total, TABLE_CHUNK):
                writer.append(waiting[start : start + TABLE_CHUNK])
    writer.finish()


def _verify(
    paths: Sequence[Path],
    output: Path,
    recipe: StoredRecipe,
    fields: Fields,
    split: str,
    expected: Sequence[int],
) -> None:
    """Look at every batch file before anything is copied, so that one error names all that are not right."""
    missing: list[str] = []
    wrong: list[str] = []
    for path, length in zip(paths, expected, strict=True):
        if not path.exists():
            missing.append(path.stem)
            continue
        try:
            _verify_batch(path, recipe, fields, split, length)
        except DatasetFileError as error:
            wrong.append(f"{path.stem}: {error}")
    if missing:
        raise IncompleteBuildError(
            f"{output} can't be fused: {len(missing)} of {len(paths)} batch files are missing"
            f" ({', '.join(missing)}); build them first." + "".join(f" {clause}" for clause in wrong)
        )
    if wrong:
        raise DatasetFileError(
            f"{output} can't be fused: {len(wrong)} of {len(paths)} batch files are not right;"
            f" build them again. {' '.join(wrong)}"
        )


def _verify_batch(path: Path, recipe: StoredRecipe, fields: Fields, split: str, length: int) -> None:
    """Raise a DatasetFileError that describes how a batch file differs from the plan or the schema."""
    with open_dataset(path) as file:
        if differences := schema_differences(file, fields):
            raise DatasetFileError(f"Its schema differs: {'; '.join(differences)}.")
        if file.attrs["split"] != split:
            raise DatasetFileError(f"It is of split {file.attrs['split']}, not {split}.")
        if file.attrs["extraction_hash"] != recipe.extraction_digest():
            raise DatasetFileError("It was extracted by another recipe.")
        rasters = [file[field.path] for field in fields if field.is_raster]
        if any(compression_of(raster) is not Compression.DEFLATE for raster in rasters):
            raise DatasetFileError("Its rasters are not deflated: it was written by factory fuse.")
        if len(rasters[0]) != length:
            raise DatasetFileError(
                f"It contains {len(rasters[0])} samples, but the plan and the ledger have {length}."
            )
        if any(raster.id.get_num_chunks() != length for raster in rasters):
            raise DatasetFileError("It lacks chunks of its rasters.")
        if others := set(np.unique(file[BATCH][:])) - {path.stem.encode()}:
            raise DatasetFileError(f"It contains samples of {b', '.join(sorted(others)).decode()}.")
