"""Opening a dataset file, and saying in one sentence why it isn't one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.layout import FILE_ATTRIBUTES, chunk_shape
from factory_pipeline.hdf5.schema import DATA, Field, dataset_fields

SENTINEL2 = f"{DATA}/Sentinel-2 L2A"


@contextmanager
def open_dataset(path: Path) -> Iterator[h5py.File]:
    """Open a dataset file for reading.

    Raises:
        DatasetFileError: the file is missing, truncated, no HDF5 file, or made by something else.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise DatasetFileError(f"The dataset file {path} is missing.") from None
    except OSError as error:
        raise DatasetFileError(f"The dataset file {path} is truncated or no HDF5 file: {error}.") from error
    with file:
        if SENTINEL2 not in file or not set(FILE_ATTRIBUTES) <= set(file.attrs):
            raise DatasetFileError(
                f"The file {path} is no dataset file: it lacks {SENTINEL2} or an attribute"
                f" of {', '.join(FILE_ATTRIBUTES)}."
            )
        yield file


def fields_of(file: h5py.File) -> tuple[Field, ...]:
    """What a file with this file's bands and window holds."""
    sentinel2 = file[SENTINEL2]
    return dataset_fields(list(sentinel2.attrs.get("band_names", ()))[1:], sentinel2.shape[-1])


def schema_differences(file: h5py.File, fields: tuple[Field, ...]) -> list[str]:
    """Where the file's datasets differ from the fields, a clause for each; empty where none does."""
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda path, node: found.update({path: node} if isinstance(node, h5py.Dataset) else {}))
    differences = [f"{path} is unknown" for path in sorted(found.keys() - {field.path for field in fields})]
    length = len(file[SENTINEL2])
    for field in fields:
        if field.path not in found:
            differences.append(f"{field.path} is missing")
            continue
        dataset = found[field.path]
        is_like = dataset.dtype, dataset.shape, dataset.chunks
        must_be = field.dtype, (length, *field.shape), chunk_shape(field)
        if is_like != must_be:
            differences.append(f"{field.path} is {_told(*is_like)}, not {_told(*must_be)}")
        elif dataset.compression != "gzip" or not dataset.shuffle:
            differences.append(f"{field.path} is not shuffled and deflated")
        elif tuple(dataset.attrs.get("band_names", ())) != field.band_names:
            differences.append(f"{field.path} has other bands than {', '.join(field.band_names)}")
    return differences


def _told(dtype: object, shape: tuple[int, ...], chunks: tuple[int, ...] | None) -> str:
    return f"{dtype} {shape} in chunks of {chunks}"
