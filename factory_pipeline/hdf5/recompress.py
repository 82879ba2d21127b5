"""Writing a dataset file again with its rasters stored in another way."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.codec import Compression, encode_chunk
from factory_pipeline.hdf5.fields import DATA
from factory_pipeline.hdf5.layout import TABLE_CHUNK, lay_out
from factory_pipeline.hdf5.opening import open_dataset, own_recipe, recipe_of, require_schema
from factory_pipeline.hdf5.read import FusedDataset
from factory_pipeline.hdf5.tables import RowWriter, read_rows
from factory_pipeline.storage.atomic import atomic_write

AT_ONCE = 256
"""Samples that are decoded at a time: bounds the memory."""
THREADS = 2
ALIGNMENT = 4096
"""Uncompressed rasters begin at a multiple of so many bytes: at a page of memory."""
ALIGNED_FROM = 1 << 16
"""Bytes of the smallest part of the file that is aligned."""


def recompress(path: Path, output: Path, compression: Compression) -> int:
    """Write a dataset file to `output`, atomically, its rasters stored by `compression`.

    Datasets, their order, types and attributes, and all values stay as they are. The same file gives the same
    bytes. Memory does not grow with the dataset.

    Args:
        path: a batch file or a fused file that this software made.
        output: the new file.
        compression: of its rasters.

    Returns:
        How many samples it holds.

    Raises:
        DatasetFileError: the file is missing, damaged, or not one of ours; or `output` is the same file.
    """
    if output.resolve() == path.resolve():
        raise DatasetFileError(f"The file {path} can't be written over itself: name another output.")
    with open_dataset(path) as source:
        fields = require_schema(source, path)
        recipe = recipe_of(source) or own_recipe(source)
        length = len(source[fields[0].path])
        aligned = {"alignment_threshold": ALIGNED_FROM, "alignment_interval": ALIGNMENT}
        with (
            atomic_write(output) as temporary,
            h5py.File(
                temporary, "w", track_order=False, **(aligned if compression is Compression.NONE else {})
            ) as target,
        ):
            lay_out(target, fields, length, recipe, str(source.attrs["split"]), compression)
            names = tuple(field.name for field in fields if field.is_raster)
            for start, batch in _batches(path, names, length):
                for name in names:
                    _store(target[f"{DATA}/{name}"], start, batch[name], compression)
            writer = RowWriter(target, fields)
            for start in range(0, length, TABLE_CHUNK):
                writer.append(read_rows(source, fields, start, min(start + TABLE_CHUNK, length)))
            writer.finish()
    return length


def _batches(
    path: Path, names: tuple[str, ...], length: int
) -> Iterator[tuple[int, dict[str, NDArray[np.generic]]]]:
    """Yield samples in their order, with the position of the first."""
    dataset = FusedDataset(path, names, threads=THREADS)
    for start in range(0, length, AT_ONCE):
        yield start, dataset.read_batch(range(start, min(start + AT_ONCE, length)))


def _store(target: h5py.Dataset, start: int, rasters: NDArray[np.generic], compression: Compression) -> None:
    if compression is Compression.NONE:
        target[start : start + len(rasters)] = rasters
        return
    with ThreadPoolExecutor(THREADS) as pool:
        chunks = pool.map(lambda raster: encode_chunk(raster, compression), rasters)
        for sample, chunk in enumerate(chunks, start=start):
            target.id.write_direct_chunk((sample, *(0 for _ in target.shape[1:])), chunk)
