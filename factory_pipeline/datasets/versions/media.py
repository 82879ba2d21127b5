"""Reading the rasters that a manifest points to, and seeing that they are still what the version was made of.

A raster file is hashed before it is read, a row of HDF5 as its chunk is stored: reading costs more than the
hash does, and a version that gives other pixels than it was made of would be none.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from factory_pipeline.errors import LakeError
from factory_pipeline.hdf5.codec import decode_chunk
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve

Place = Mapping[str, Any]
"""`path`, `member`, `row` and `sha256`, as in a manifest."""


@dataclass
class MediaReader:
    """Reads rasters; an HDF5 file is opened once and stays open until `close`."""

    home: FactoryHome
    _opened: dict[Path, h5py.File] = field(default_factory=dict)

    def read(self, place: Place) -> NDArray[Any]:
        """All bands of a raster, (bands, height, width) in its own dtype.

        Raises:
            LakeError: the file is missing, can't be read, or isn't what the version was made of.
        """
        path = resolve(place["path"], self.home)
        if not path.exists():
            raise LakeError(f"The file {path} is missing; put it back, or make a new version without it.")
        return _from_file(path, place) if place["member"] is None else self._from_hdf5(path, place)

    def check(self, place: Place) -> None:
        """Compare a raster with its hash, without decoding it.

        Raises:
            LakeError: the file is missing, can't be read, or isn't what the version was made of.
        """
        path = resolve(place["path"], self.home)
        if not path.exists():
            raise LakeError(f"The file {path} is missing; put it back, or make a new version without it.")
        if place["member"] is not None:
            self._from_hdf5(path, place)
        elif place["sha256"] is not None:
            _compare(sha256_of(path), place, str(path))

    def close(self) -> None:
        """Close what was opened."""
        while self._opened:
            self._opened.popitem()[1].close()

    def _from_hdf5(self, path: Path, place: Place) -> NDArray[Any]:
        try:
            if path not in self._opened:
                self._opened[path] = h5py.File(path, "r")
            dataset = self._opened[path][place["member"]]
            values = _row(dataset, place, path)
        except (OSError, KeyError, ValueError, IndexError) as error:
            where = f"row {place['row']} of {place['member']!r} in {path}"
            raise LakeError(f"There is no reading {where}: {error}.") from error
        return values if values.ndim == 3 else values[None]


def _from_file(path: Path, place: Place) -> NDArray[Any]:
    if place["sha256"] is not None:
        _compare(sha256_of(path), place, str(path))
    try:
        with rasterio.open(path) as source:
            values: NDArray[Any] = source.read(out_dtype=np.result_type(*source.dtypes))
    except RasterioError as error:
        raise LakeError(f"The file {path} can't be read as a raster: {error}.") from error
    return values


def _row(dataset: h5py.Dataset, place: Place, path: Path) -> NDArray[Any]:
    """A row by its stored chunk where each row is one; its hash is of that."""
    row = place["row"]
    shape = dataset.shape[1:]
    if not 0 <= row < len(dataset):
        raise IndexError(f"it has {len(dataset)} rows")
    is_chunk = dataset.chunks == (1, *shape) and dataset.compression == "gzip" and dataset.shuffle
    if not is_chunk:
        return np.asarray(dataset[row])
    filter_mask, stored = dataset.id.read_direct_chunk((row, *(0 for _ in shape)))
    if place["sha256"] is not None:
        _compare(hashlib.sha256(stored).hexdigest(), place, f"{path} (row {row} of {place['member']!r})")
    if filter_mask:
        return np.asarray(dataset[row])
    values = np.empty(shape, dataset.dtype)
    decode_chunk(stored, values)
    return values


def _compare(found: str, place: Place, where: str) -> None:
    if found != place["sha256"]:
        raise LakeError(
            f"The file {where} was changed after the version was made (its SHA-256 is {found[:12]}..., not "
            f"{place['sha256'][:12]}...); put the former one back, or make a new version."
        )
