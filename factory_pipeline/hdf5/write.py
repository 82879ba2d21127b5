"""Writing a dataset file from samples."""

from collections.abc import Iterator, Sequence, Sized
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.codec import Encode, encode_chunk
from factory_pipeline.hdf5.fields import Field
from factory_pipeline.hdf5.layout import StoredRecipe, lay_out
from factory_pipeline.hdf5.schema import Samples, dataset_fields
from factory_pipeline.hdf5.tables import RowWriter, rows_of
from factory_pipeline.processors import processor_count
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.thread_map import map_in_threads

MOST_THREADS = 4


def write_dataset(path: Path, samples: Samples, recipe: Recipe, split: str) -> None:
    """Write samples to a dataset file, atomically; no samples give a valid, empty file.

    The same samples, recipe and software version give the same bytes.

    Args:
        path: of the file.
        samples: all of it.
        recipe: stored with the file.
        split: likewise.

    Raises:
        DatasetFileError: a text is longer than the file can hold.
        ValueError: the samples have other bands or another window than the recipe.
    """
    fields = dataset_fields(recipe.sentinel2.bands, recipe.window_size)
    if samples.sentinel2.shape[1:] != fields[0].shape:
        raise ValueError(f"a sample is {samples.sentinel2.shape[1:]}, the recipe says {fields[0].shape}")
    write_fields(path, fields, samples, recipe, split)


def write_fields(
    path: Path,
    fields: Sequence[Field],
    samples: Sized,
    recipe: StoredRecipe,
    split: str,
    encode: Encode = encode_chunk,
) -> None:
    """Write samples to a dataset file of these fields, atomically.

    Args:
        path: the file.
        fields: what it holds; each makes its content of the samples.
        samples: as the fields take them.
        recipe: stored in the file.
        split: stored in the file.
        encode: makes the chunks of the rasters.

    Raises:
        DatasetFileError: a text is longer than the file can hold.
    """
    rows = rows_of(samples, fields)
    rasters = [field for field in fields if field.is_raster]
    with atomic_write(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        lay_out(file, fields, len(samples), recipe, split)
        targets = [(file[raster.path].id, (0,) * len(raster.shape)) for raster in rasters]
        encoded = _encode_samples([raster.values(samples) for raster in rasters], len(samples), encode)
        for sample, chunks in enumerate(encoded):
            # The rasters of a sample are side by side in the file: read ahead serves them all.
            for (target, corner), chunk in zip(targets, chunks, strict=True):
                target.write_direct_chunk((sample, *corner), chunk)
        writer = RowWriter(file, fields)
        writer.append(rows)
        writer.finish()


def _encode_samples(
    rasters: Sequence[NDArray[np.generic]], length: int, encode: Encode
) -> Iterator[list[bytes]]:
    """Return the compressed chunks of each sample, in order, made by a few threads, a few samples ahead."""

    def encode_sample(sample: int) -> list[bytes]:
        return [encode(raster[sample]) for raster in rasters]

    return map_in_threads(encode_sample, range(length), min(MOST_THREADS, processor_count()))
