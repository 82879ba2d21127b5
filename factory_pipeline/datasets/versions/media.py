"""Reading the rasters of a manifest, and checking that they are unchanged since the version was made.

A raster file is hashed before it is read, a row of HDF5 as its chunk is stored: the hash costs less than
reading, and a version must never return other pixels than it was made of.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from factory_pipeline.errors import LakeError
from factory_pipeline.hdf5.codec import decode_chunk
from factory_pipeline.hdf5.row_checksum import row_sha256
from factory_pipeline.open_raster import open_raster
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve

RasterLocation = Mapping[str, Any]
"""`path`, `member`, `row` and `sha256`, as in a manifest."""


@dataclass
class MediaReader:
    """Reads rasters; an HDF5 file is opened once and stays open until `close`."""

    home: FactoryHome
    _opened: dict[Path, h5py.File] = field(default_factory=dict)

    def read(self, location: RasterLocation) -> NDArray[Any]:
        """Return all bands of a raster, (bands, height, width) in its own dtype.

        Raises:
            LakeError: the file is missing, can't be read, or has changed since the version was made.
        """
        path = resolve(location["path"], self.home)
        if not path.exists():
            raise LakeError(f"The file {path} is missing; restore it, or create a new version without it.")
        return _read_file(path, location) if location["member"] is None else self._read_hdf5(path, location)

    def read_small(self, location: RasterLocation, side: int) -> NDArray[Any]:
        """Return all bands of a raster averaged to `side` pixels or fewer in each direction.

        Of a file, memory does not grow with the raster, and its hash is not looked at.

        Args:
            location: of the raster.
            side: most rows, and columns.

        Raises:
            LakeError: the file is missing or can't be read.
        """
        if location["member"] is not None:
            return self.read(location)
        path = resolve(location["path"], self.home)
        try:
            with open_raster(path) as source:
                shape = (source.count, min(source.height, side), min(source.width, side))
                small: NDArray[Any] = source.read(out_shape=shape, resampling=Resampling.average)
        except RasterioError as error:
            raise LakeError(f"The file {path} can't be read as a raster; restore it.") from error
        return small

    def check(self, location: RasterLocation) -> None:
        """Compare a raster with its hash, without decoding it.

        Raises:
            LakeError: the file is missing, can't be read, or has changed since the version was made.
        """
        path = resolve(location["path"], self.home)
        if not path.exists():
            raise LakeError(f"The file {path} is missing; restore it, or create a new version without it.")
        if location["member"] is not None:
            self._read_hdf5(path, location)
        elif location["sha256"] is not None:
            _compare(sha256_of(path), location, str(path))

    def close(self) -> None:
        """Close what was opened."""
        while self._opened:
            self._opened.popitem()[1].close()

    def _read_hdf5(self, path: Path, location: RasterLocation) -> NDArray[Any]:
        try:
            if path not in self._opened:
                self._opened[path] = h5py.File(path, "r")
            dataset = self._opened[path][location["member"]]
            values = _row(dataset, location, path)
        except (OSError, KeyError, ValueError, IndexError) as error:
            where = f"row {location['row']} of {location['member']!r} in {path}"
            raise LakeError(f"Can't read {where}: {error}.") from error
        # The steps of a series follow each other, each with all its bands.
        return values.reshape(-1, *values.shape[-2:])


def _read_file(path: Path, location: RasterLocation) -> NDArray[Any]:
    if location["sha256"] is not None:
        _compare(sha256_of(path), location, str(path))
    try:
        with open_raster(path) as source:
            values: NDArray[Any] = source.read(out_dtype=np.result_type(*source.dtypes))
    except RasterioError as error:
        raise LakeError(f"The file {path} can't be read as a raster; restore it.") from error
    return values


def _row(dataset: h5py.Dataset, location: RasterLocation, path: Path) -> NDArray[Any]:
    """Return a row from its stored chunk, if each row is one; its hash is that of the chunk."""
    row = location["row"]
    shape = dataset.shape[1:]
    if not 0 <= row < len(dataset):
        raise IndexError(f"it has {len(dataset)} rows")
    is_chunk = dataset.chunks == (1, *shape) and dataset.compression == "gzip" and dataset.shuffle
    if not is_chunk:
        if location["sha256"] is not None:
            _compare(row_sha256(dataset, row), location, f"{path} (row {row} of {location['member']!r})")
        return np.asarray(dataset[row])
    filter_mask, stored = dataset.id.read_direct_chunk((row, *(0 for _ in shape)))
    if location["sha256"] is not None:
        _compare(
            hashlib.sha256(stored).hexdigest(), location, f"{path} (row {row} of {location['member']!r})"
        )
    if filter_mask:
        return np.asarray(dataset[row])
    values = np.empty(shape, dataset.dtype)
    decode_chunk(stored, values)
    return values


def _compare(found: str, location: RasterLocation, where: str) -> None:
    if found != location["sha256"]:
        raise LakeError(
            f"The file {where} has changed since the version was made (its SHA-256 is {found[:12]}..., not "
            f"{location['sha256'][:12]}...); restore the original, or create a new version."
        )
