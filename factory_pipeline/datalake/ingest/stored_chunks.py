"""The stored chunks of the rasters of a dataset file, read by position in threads."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.datalake.ingest.read_raster import WORKERS
from factory_pipeline.errors import LakeError
from factory_pipeline.hdf5.codec import decode_chunk
from factory_pipeline.hdf5.layout import ChunkIndex

SAMPLES_PER_TASK = 256

_Found = TypeVar("_Found")


class StoredChunks:
    """Reads chunks outside HDF5 and its one lock; use it in a `with` block."""

    def __init__(self, path: Path, file: h5py.File, members: Iterable[str]) -> None:
        """Look up where the chunks are.

        Args:
            path: of the file.
            file: the same, open.
            members: paths of the rasters in the file, one chunk per sample.

        Raises:
            LakeError: a chunk is missing.
        """
        self._path = path
        try:
            self._indexes = {member: ChunkIndex.of(file[member]) for member in members}
        except ValueError as error:
            raise LakeError(f"The dataset file {path} is damaged: {error}.") from error
        self._layers = {member: (file[member].dtype, file[member].shape[1:]) for member in self._indexes}

    def __enter__(self) -> "StoredChunks":
        self._descriptor = os.open(self._path, os.O_RDONLY)
        self._pool = ThreadPoolExecutor(WORKERS)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        os.close(self._descriptor)

    def hashes(self, member: str, rows: range) -> list[str]:
        """Return the SHA-256 in hex of the stored chunk of each sample.

        Args:
            member: path of a raster in the file.
            rows: indices of samples.
        """

        def some(part: range) -> list[str]:
            return [sha256(self._read_chunk(member, row)).hexdigest() for row in part]

        return self._map_parts(some, rows)

    def map_values(self, member: str, rows: range, task: Callable[[NDArray[Any]], _Found]) -> list[_Found]:
        """Return the result of a task for the values of each sample; it must not keep the array.

        Args:
            member: path of a raster in the file.
            rows: indices of samples.
            task: is called in several threads; its array is used again for the next sample, so it must not
                keep it.

        Raises:
            LakeError: a chunk can't be decoded.
        """
        dtype, shape = self._layers[member]

        def some(part: range) -> list[_Found]:
            decoded = np.empty(shape, dtype)
            found = []
            for row in part:
                try:
                    decode_chunk(self._read_chunk(member, row), decoded)
                except ValueError as error:
                    raise LakeError(f"Sample {row} of {self._path} is damaged: {error}.") from error
                found.append(task(decoded))
            return found

        return self._map_parts(some, rows)

    def _read_chunk(self, member: str, row: int) -> bytes:
        index = self._indexes[member]
        return os.pread(self._descriptor, int(index.sizes[row]), int(index.offsets[row]))

    def _map_parts(self, task: Callable[[range], list[_Found]], rows: range) -> list[_Found]:
        parts = [rows[start : start + SAMPLES_PER_TASK] for start in range(0, len(rows), SAMPLES_PER_TASK)]
        return [found for part in self._pool.map(task, parts) for found in part]
