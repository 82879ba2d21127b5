"""Opening a dataset file, and saying in one sentence why it isn't one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.recipe import S2_BANDS, Recipe
from factory_pipeline.errors import DatasetFileError, DocumentError, RecipeError
from factory_pipeline.hdf5.codec import Compression
from factory_pipeline.hdf5.fields import DATA, Field, encode_text
from factory_pipeline.hdf5.layout import FILE_ATTRIBUTES, chunk_shape, compression_of
from factory_pipeline.hdf5.recipe_fields import extra_types_of, recipe_fields
from factory_pipeline.hdf5.schema import dataset_fields
from factory_pipeline.json_document import parse_json

SENTINEL2 = f"{DATA}/Sentinel-2 L2A"


@contextmanager
def open_dataset(path: Path) -> Iterator[h5py.File]:
    """Open a dataset file for reading that this software made.

    Raises:
        DatasetFileError: the file is missing, truncated, no HDF5 file, can't be read now, or was made by
            something else.
    """
    with open_samples(path) as file:
        if not is_own(file):
            raise DatasetFileError(
                f"The file {path} has samples but no attributes {', '.join(FILE_ATTRIBUTES)}: something else"
                " made it. factory create-dataset --fuse-hdf5-datasets fuses such files."
            )
        yield file


@contextmanager
def open_recipe_dataset(path: Path) -> Iterator[tuple[h5py.File, DatasetRecipe]]:
    """Open a dataset file of a recipe for reading; yield it with the recipe.

    Raises:
        DatasetFileError: as `open_dataset`, or it is a file of the GEDI dataset.
    """
    with open_dataset(path) as file:
        recipe = recipe_of(file)
        if recipe is None:
            raise DatasetFileError(f"{path} is a file of the GEDI dataset.")
        yield file, recipe


@contextmanager
def open_samples(path: Path) -> Iterator[h5py.File]:
    """Open a file with samples for reading, whatever made it: the group `data` alone is needed.

    Raises:
        DatasetFileError: the file is missing, truncated, no HDF5 file, can't be read now, or contains no
            samples.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise DatasetFileError(f"The dataset file {path} is missing.") from None
    except OSError as error:
        if Path(path).is_dir():
            raise DatasetFileError(_name_a_file(Path(path))) from None
        if error.errno:
            raise DatasetFileError(
                f"The dataset file {path} can't be read now: {os.strerror(error.errno)}."
            ) from error
        raise DatasetFileError(
            f"The dataset file {path} is truncated or not an HDF5 file: {error}."
        ) from error
    with file, _damage_told(path):
        if recipe_of(file) is not None:
            yield file
            return
        if not isinstance(file.get(SENTINEL2), h5py.Dataset) or file[SENTINEL2].ndim != 4:
            raise DatasetFileError(
                f"The file {path} is not a dataset file: it lacks {SENTINEL2}, of (samples, bands, rows,"
                " columns)."
            )
        yield file


def _name_a_file(folder: Path) -> str:
    """Say that a folder is not a file, and which dataset files it contains."""
    found = sorted(folder.glob("*_dataset.h5"))
    if not found:
        return f"{folder} is a folder without a dataset file."
    return f"{folder} is a folder; name one of its files: {', '.join(map(str, found))}."


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Turn what HDF5 raises of a damaged file into an error that names the file.

    Raises:
        DatasetFileError: something of the file can't be read.
    """
    try:
        yield
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, MemoryError) as error:
        if (isinstance(error, OSError) and error.errno) or not _is_of_hdf5(error):
            raise
        reason = " ".join(str(error).split()).strip("'\"")
        raise DatasetFileError(f"The dataset file {path} is damaged: {reason}.") from error


def _is_of_hdf5(error: BaseException) -> bool:
    """Return whether an error was raised inside h5py."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and "h5py" in Path(trace.tb_frame.f_code.co_filename).parts


def is_own(file: h5py.File) -> bool:
    """Return whether this software made the file: it then has every attribute and dataset of ours."""
    return set(FILE_ATTRIBUTES) <= set(file.attrs)


def recipe_of(file: h5py.File) -> DatasetRecipe | None:
    """Return the recipe of a file with labels and sources of any kind; None for a file of the GEDI dataset.

    Raises:
        DatasetFileError: the file has such a recipe that can't be read.
    """
    stored = file.attrs.get("recipe")
    if not isinstance(stored, str) or '"labels"' not in stored:
        return None
    try:
        document = parse_json(stored, f"The recipe of {file.filename}")
    except DocumentError as error:
        raise DatasetFileError(str(error)) from error
    if not isinstance(document, dict) or "labels" not in document:
        return None
    try:
        return DatasetRecipe.parse(document, where=f"of {file.filename}")
    except RecipeError as error:
        raise DatasetFileError(f"{file.filename} is of another version of the software. {error}") from error


def own_recipe(file: h5py.File) -> Recipe:
    """Return the recipe of a file of the GEDI dataset that this software made.

    Raises:
        DatasetFileError: it can't be read.
    """
    where = f"of {file.filename}"
    try:
        return Recipe.parse(parse_json(str(file.attrs["recipe"]), f"The recipe {where}"), where)
    except (DocumentError, RecipeError) as error:
        raise DatasetFileError(str(error)) from error


def bands_of(file: h5py.File) -> tuple[str, ...]:
    """Return the reflectance bands of a file, without SCL.

    Raises:
        DatasetFileError: the file does not name them, and they are not as many as the usual ones.
    """
    sentinel2 = file[SENTINEL2]
    named = tuple(str(name) for name in sentinel2.attrs.get("band_names", ()))[1:]
    bands = named or S2_BANDS
    if sentinel2.shape[1] != 1 + len(bands):
        raise DatasetFileError(
            f"The file {file.filename} has {sentinel2.shape[1]} layers in {SENTINEL2}, not {1 + len(bands)}:"
            f" SCL, {', '.join(bands)}."
        )
    return bands


def fields_of(file: h5py.File) -> tuple[Field, ...]:
    """Return what a file with this file's bands and window holds.

    Of a file of others the group `data` alone.
    """
    recipe = recipe_of(file)
    if recipe is not None:
        return recipe_fields(recipe, extra_types_of(file))
    fields = dataset_fields(bands_of(file), file[SENTINEL2].shape[-1])
    return fields if is_own(file) else tuple(field for field in fields if field.group == DATA)


def schema_differences(file: h5py.File, fields: tuple[Field, ...]) -> list[str]:
    """Return where the file's datasets differ from the fields, a clause for each; empty where none does.

    The rasters may be stored in any `Compression`.

    Args:
        file: of ours.
        fields: that it must have.
    """
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda path, node: found.update({path: node} if isinstance(node, h5py.Dataset) else {}))
    differences = [f"{path} is unknown" for path in sorted(found.keys() - {field.path for field in fields})]
    length = len(file[fields[0].path]) if fields[0].path in file else 0
    for field in fields:
        if field.path not in found:
            differences.append(f"{field.path} is missing")
            continue
        dataset = found[field.path]
        stored = compression_of(dataset)
        is_plain = field.is_raster and stored is Compression.NONE
        is_like = dataset.dtype, dataset.shape, dataset.chunks
        must_be = field.dtype, (length, *field.shape), None if is_plain else chunk_shape(field)
        if is_like != must_be:
            differences.append(
                f"{field.path} is {_describe_storage(*is_like)}, not {_describe_storage(*must_be)}"
            )
        elif stored is not Compression.DEFLATE and (stored is None or not field.is_raster):
            differences.append(f"{field.path} is not shuffled and deflated")
        elif tuple(dataset.attrs.get("band_names", ())) != field.band_names:
            differences.append(f"{field.path} has other bands than {', '.join(field.band_names)}")
    return differences


def require_schema(file: h5py.File, path: Path) -> tuple[Field, ...]:
    """Return what a file holds, if all of it is there as it must be.

    Args:
        file: of ours, or of any origin.
        path: of the file, for the message.

    Raises:
        DatasetFileError: a dataset is missing, or of another type or shape.
    """
    fields = fields_of(file)
    differences = schema_differences(file, fields) if is_own(file) else missing_fields(file, fields)
    if differences:
        raise DatasetFileError(f"The schema of {path} differs: {'; '.join(differences)}.")
    return fields


def missing_fields(file: h5py.File, fields: tuple[Field, ...]) -> list[str]:
    """Return where a file of others lacks a field or has it in another shape, a clause for each.

    Its storage, text types and number types may be any; a column of one value may have no axis of its own.

    Args:
        file: of any origin.
        fields: that it must have.
    """
    length = len(file[SENTINEL2])
    problems = []
    for field in fields:
        dataset = file.get(field.path)
        if not isinstance(dataset, h5py.Dataset):
            problems.append(f"{field.path} is missing")
        elif dataset.shape != (length, *field.shape) and (dataset.shape, field.shape) != ((length,), (1,)):
            problems.append(f"{field.path} is {dataset.shape}, not {(length, *field.shape)}")
    return problems


def read_values(file: h5py.File, field: Field, start: int, stop: int) -> NDArray[Any]:
    """Read a field of some samples in the dtype and shape of our files, whatever those of the file are.

    Args:
        file: that has the field.
        field: with dtype and shape.
        start: first sample.
        stop: the sample after the last.

    Raises:
        DatasetFileError: a value does not fit: it is never cut or wrapped.
    """
    dataset = file[field.path]
    stored = dataset[start:stop]
    shape = (stop - start, *field.shape)
    if field.is_text:
        texts = [text.decode() if isinstance(text, bytes) else str(text) for text in stored.reshape(-1)]
        return encode_text(field.name, texts, field.dtype.itemsize).reshape(shape)
    with np.errstate(invalid="ignore", over="ignore"):
        values = stored.astype(field.dtype).reshape(shape)
    if field.dtype.kind in "iu" and not np.array_equal(values, stored.reshape(shape)):
        raise DatasetFileError(
            f"The file {file.filename} has values in {field.path} that are not {field.dtype}."
        )
    return values


def _describe_storage(dtype: object, shape: tuple[int, ...], chunks: tuple[int, ...] | None) -> str:
    return f"{dtype} {shape} in chunks of {chunks}"
