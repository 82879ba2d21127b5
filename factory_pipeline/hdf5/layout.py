"""The frame of a dataset file: groups, datasets, filters, attributes, and where each chunk is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.hdf5.codec import LEVEL, ZSTD_LEVEL, Compression
from factory_pipeline.hdf5.fields import Field
from factory_pipeline.version import __version__

TABLE_CHUNK = 1024
"""Rows per chunk of the datasets that are not rasters."""
FILE_ATTRIBUTES = ("recipe", "recipe_hash", "extraction_hash", "software_version", "split")
"""`extraction_hash` is of the part of the recipe that decides a sample's content; fused files share it."""


_SHUFFLE, _DEFLATE = h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE
_ZSTD = 32015
"""Registered with The HDF Group: https://github.com/HDFGroup/hdf5_plugins."""
_KINDS = {Compression.DEFLATE: "shuffled, deflated", Compression.ZSTD: "shuffled, zstd-compressed"}
_FILTERS = {(_SHUFFLE, _DEFLATE): Compression.DEFLATE, (_SHUFFLE, _ZSTD): Compression.ZSTD}


class StoredRecipe(Protocol):
    """What a file says of the recipe that it was made by."""

    def canonical_json(self) -> str:
        """Return the whole recipe with sorted keys."""

    def digest(self) -> str:
        """Return the SHA-256 of the whole recipe, in hex."""

    def extraction_digest(self) -> str:
        """Return the SHA-256 of what decides the content of a batch beside its labels, in hex."""


def lay_out(
    file: h5py.File,
    fields: Sequence[Field],
    length: int,
    recipe: StoredRecipe | None,
    split: str,
    compression: Compression = Compression.DEFLATE,
) -> None:
    """Make every dataset for `length` samples, still without content, and all attributes.

    No clock time is stored, so that the same content gives the same bytes. Samples of others have no recipe.

    Args:
        file: new and empty.
        fields: in their order.
        length: number of samples.
        recipe: stored with the file.
        split: likewise.
        compression: of the rasters; tables are always deflated.
    """
    if recipe is None:
        file.attrs["software_version"], file.attrs["split"] = __version__, split
    else:
        values = recipe.canonical_json(), recipe.digest(), recipe.extraction_digest(), __version__, split
        for name, value in zip(FILE_ATTRIBUTES, values, strict=True):
            file.attrs[name] = value
    for field in fields:
        dataset = _make_dataset(file, field, length, compression if field.is_raster else Compression.DEFLATE)
        dataset.attrs["description"] = field.description
        if field.units:
            dataset.attrs["units"] = field.units[0] if len(field.units) == 1 else list(field.units)
        if field.band_names:
            dataset.attrs["band_names"] = list(field.band_names)
        if field.nodata is not None:
            dataset.attrs["nodata"] = field.dtype.type(field.nodata)
        for name, value in field.attributes.items():
            dataset.attrs[name] = value


def make_parent(file: h5py.File, path: str) -> None:
    """Make the group of a dataset where it is missing, as h5py does where it makes a dataset.

    h5py keeps the order of names in it if the caller's program has asked for that, which takes other bytes;
    for files and datasets, `track_order` says that it must not.

    Args:
        file: that the dataset goes into.
        path: of the dataset.
    """
    parent = path.rpartition("/")[0]
    if parent and parent not in file:
        file.create_group(parent, track_order=False)


def _make_dataset(file: h5py.File, field: Field, length: int, compression: Compression) -> h5py.Dataset:
    shape = (length, *field.shape)
    make_parent(file, field.path)
    if compression is Compression.NONE:
        return file.create_dataset(
            field.path, shape=shape, dtype=field.dtype, track_times=False, track_order=False
        )
    # A chunk may be longer than a dataset only where the dataset may grow.
    growing = {"maxshape": (None, *field.shape), "chunks": chunk_shape(field), "track_times": False}
    if compression is Compression.DEFLATE:
        return file.create_dataset(
            field.path,
            shape=shape,
            dtype=field.dtype,
            compression="gzip",
            compression_opts=LEVEL,
            shuffle=True,
            track_order=False,
            **growing,
        )
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_shuffle()
    # Optional, so that HDF5 makes the dataset without the plugin; the chunks are stored by their bytes.
    properties.set_filter(_ZSTD, h5py.h5z.FLAG_OPTIONAL, (ZSTD_LEVEL,))
    return file.create_dataset(
        field.path, shape=shape, dtype=field.dtype, dcpl=properties, track_order=False, **growing
    )


def compression_of(dataset: h5py.Dataset) -> Compression | None:
    """Return how a dataset is stored; None if in none of the ways of our files."""
    properties = dataset.id.get_create_plist()
    filters = tuple(properties.get_filter(place)[0] for place in range(properties.get_nfilters()))
    if properties.get_layout() == h5py.h5d.CONTIGUOUS:
        return Compression.NONE
    return _FILTERS.get(filters)


def chunk_shape(field: Field) -> tuple[int, ...]:
    """Return one sample for a raster: it suits random reads and every batch length."""
    return (1 if field.is_raster else TABLE_CHUNK, *field.shape)


def require_chunks(dataset: h5py.Dataset, compression: Compression = Compression.DEFLATE) -> None:
    """Raise a ValueError unless a raster is stored as one chunk per sample, or as a whole if uncompressed.

    Args:
        dataset: a raster of many samples.
        compression: that it must be stored in.
    """
    if compression_of(dataset) is not compression or dataset.chunks not in (None, (1, *dataset.shape[1:])):
        how = "uncompressed" if compression is Compression.NONE else f"as one {_KINDS[compression]} chunk"
        raise ValueError(f"{dataset.name} is not stored {how} per sample")


@dataclass(frozen=True)
class ChunkIndex:
    """Where the chunk of each sample of a raster is in the file."""

    offsets: NDArray[np.int64]
    """(N,) bytes from the start of the file."""
    sizes: NDArray[np.int64]
    """(N,) bytes."""

    @classmethod
    def of(cls, dataset: h5py.Dataset, compression: Compression = Compression.DEFLATE) -> "ChunkIndex":
        """Look every chunk up once: later reads need neither HDF5 nor its lock.

        Args:
            dataset: a raster of many samples.
            compression: that it must be stored in; of NONE, each sample counts as a chunk.

        Raises:
            ValueError: it is stored otherwise, or a chunk is missing.
        """
        require_chunks(dataset, compression)
        length, *shape = dataset.shape
        sizes = np.zeros(length, np.int64)
        if compression is Compression.NONE:
            start, sizes[:] = dataset.id.get_offset(), dataset.dtype.itemsize * np.prod(shape, dtype=np.int64)
            if start is None and length:
                raise ValueError(f"{dataset.name} has no place in the file")
            return cls((start or 0) + np.arange(length) * sizes, sizes)
        offsets = np.zeros(length, np.int64)

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
