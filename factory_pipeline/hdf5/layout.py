"""The frame of a dataset file: groups, datasets, filters, attributes, and where each chunk is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.hdf5.codec import LEVEL
from factory_pipeline.hdf5.schema import Field
from factory_pipeline.version import __version__

TABLE_CHUNK = 1024
"""Rows per chunk of the datasets that are not rasters."""
FILE_ATTRIBUTES = ("recipe", "recipe_hash", "extraction_hash", "software_version", "split")
"""`extraction_hash` is of the part of the recipe that decides a sample's content; fused files share it."""


class StoredRecipe(Protocol):
    """What a file says of the recipe that it was made by."""

    def canonical_json(self) -> str:
        """Return the whole recipe with sorted keys."""

    def digest(self) -> str:
        """Return the SHA-256 of the whole recipe, in hex."""

    def extraction_digest(self) -> str:
        """Return the SHA-256 of what decides the content of a batch beside its labels, in hex."""


def lay_out(
    file: h5py.File, fields: Sequence[Field], length: int, recipe: StoredRecipe | None, split: str
) -> None:
    """Make every dataset for `length` samples, still without content, and all attributes.

    No clock time is stored, so that the same content gives the same bytes. Samples of others have no recipe.

    Args:
        file: new and empty.
        fields: in their order.
        length: number of samples.
        recipe: stored with the file.
        split: likewise.
    """
    if recipe is None:
        file.attrs["software_version"], file.attrs["split"] = __version__, split
    else:
        values = recipe.canonical_json(), recipe.digest(), recipe.extraction_digest(), __version__, split
        for name, value in zip(FILE_ATTRIBUTES, values, strict=True):
            file.attrs[name] = value
    for field in fields:
        dataset = file.create_dataset(
            field.path,
            shape=(length, *field.shape),
            # A chunk may be longer than a dataset only where the dataset may grow.
            maxshape=(None, *field.shape),
            dtype=field.dtype,
            chunks=chunk_shape(field),
            compression="gzip",
            compression_opts=LEVEL,
            shuffle=True,
            track_times=False,
        )
        dataset.attrs["description"] = field.description
        if field.units:
            dataset.attrs["units"] = field.units[0] if len(field.units) == 1 else list(field.units)
        if field.band_names:
            dataset.attrs["band_names"] = list(field.band_names)
        if field.nodata is not None:
            dataset.attrs["nodata"] = field.dtype.type(field.nodata)
        for name, value in field.attributes.items():
            dataset.attrs[name] = value


def chunk_shape(field: Field) -> tuple[int, ...]:
    """Return one sample for a raster: it suits random reads and every batch length."""
    return (1 if field.is_raster else TABLE_CHUNK, *field.shape)


@dataclass(frozen=True)
class ChunkIndex:
    """Where the chunk of each sample of a raster is in the file."""

    offsets: NDArray[np.int64]
    """(N,) bytes from the start of the file."""
    sizes: NDArray[np.int64]
    """(N,) bytes."""

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> "ChunkIndex":
        """Look every chunk up once: later reads need neither HDF5 nor its lock.

        Raises:
            ValueError: a chunk is missing, or isn't one shuffled, deflated sample.
        """
        length, *shape = dataset.shape
        is_plain = dataset.compression == "gzip" and dataset.shuffle and not dataset.fletcher32
        if dataset.chunks != (1, *shape) or not is_plain:
            raise ValueError(f"{dataset.name} is not stored as one shuffled, deflated chunk per sample")
        offsets = np.zeros(length, np.int64)
        sizes = np.zeros(length, np.int64)

        def note(chunk: h5py.h5d.StoreInfo) -> None:
            # A set bit means that a filter was left out for this chunk.
            if not chunk.filter_mask:
                offsets[chunk.chunk_offset[0]] = chunk.byte_offset
                sizes[chunk.chunk_offset[0]] = chunk.size

        if length:
            dataset.id.chunk_iter(note)
        if missing := np.flatnonzero(sizes == 0).tolist():
            raise ValueError(f"{dataset.name} lacks the chunk of sample {missing[0]}")
        return cls(offsets, sizes)
