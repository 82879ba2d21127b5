"""Writing a dataset file from samples."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.codec import encode_chunk
from factory_pipeline.hdf5.layout import lay_out
from factory_pipeline.hdf5.schema import Samples, dataset_fields
from factory_pipeline.hdf5.tables import RowWriter, rows_of
from factory_pipeline.storage.atomic import atomic_write

MOST_THREADS = 4


def write_dataset(path: Path, samples: Samples, recipe: Recipe, split: str) -> None:
    """Write samples to a dataset file, whole or not at all; no samples give a valid, empty file.

    The same samples, recipe and software version give the same bytes.

    Raises:
        DatasetFileError: a text is longer than the file can hold.
        ValueError: the samples have other bands or another window than the recipe.
    """
    fields = dataset_fields(recipe.sentinel2.bands, recipe.window_size)
    if samples.sentinel2.shape[1:] != fields[0].shape:
        raise ValueError(f"a sample is {samples.sentinel2.shape[1:]}, the recipe says {fields[0].shape}")
    rows = rows_of(samples, fields)
    rasters = [field for field in fields if field.is_raster]
    with atomic_write(path) as temporary, h5py.File(temporary, "w") as file:
        lay_out(file, fields, len(samples), recipe, split)
        targets = [file[raster.path].id for raster in rasters]
        encoded = _encoded([raster.values(samples) for raster in rasters], len(samples))
        for sample, chunks in enumerate(encoded):
            # The rasters of a sample lie side by side in the file: read ahead serves them all.
            for target, chunk in zip(targets, chunks, strict=True):
                target.write_direct_chunk((sample, 0, 0, 0), chunk)
        writer = RowWriter(file, fields)
        writer.append(rows)
        writer.finish()


def _encoded(rasters: Sequence[NDArray[np.generic]], length: int) -> Iterator[list[bytes]]:
    """The compressed chunks of each sample, in order, made by a few threads."""

    def encode(sample: int) -> list[bytes]:
        return [encode_chunk(raster[sample]) for raster in rasters]

    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        yield from pool.map(encode, range(length))
