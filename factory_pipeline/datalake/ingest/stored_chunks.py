"""The stored chunks of the rasters of a dataset file, hashed and decoded in threads."""

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
from factory_pipeline.hdf5.layout import require_chunks

SAMPLES_PER_TASK = 256

_Found = TypeVar("_Found")


class StoredChunks:
    """Reads chunks as they are stored; use it in a `with` block.

    HDF5 looks up where a chunk is when it is read, from the part of its index that it has in memory: an index
    of all chunks would grow with the file.
    """

    def __init__(self, path: Path, file: h5py.File, members: Iterable[str]) -> None:
        """Look at how the rasters are stored.

        Args:
            path: of the file.
            file: the same, open.
            members: paths of the rasters in the file, one chunk per sample.

        Raises:
            LakeError: a raster is not stored so.
        """
        self._path = path
        self._datasets: dict[str, h5py.Dataset] = {member: file[member] for member in members}
        try:
            for dataset in self._datasets.values():
                require_chunks(dataset)
        except ValueError as error:
            raise LakeError(f"The dataset file {path} is damaged: {error}.") from error
        self._layers = {member: (each.dtype, each.shape[1:]) for member, each in self._datasets.items()}

    def __enter__(self) -> "StoredChunks":
        self._pool = ThreadPoolExecutor(WORKERS)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def hashes(self, member: str, rows: range) -> list[str]:
        """Return the SHA-256 in hex of the stored chunk of each sample.

        Args:
            member: path of a raster in the file.
            rows: indices of samples.

        Raises:
            LakeError: a chunk is missing.
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
            LakeError: a chunk is missing or can't be decoded.
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
        dataset = self._datasets[member]
        corner = (row, *(0 for _ in self._layers[member][1]))
        try:
            filters_left_out, stored = dataset.id.read_direct_chunk(corner)
        except (OSError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise self._damage(member, row) from error
        if filters_left_out:
            raise self._damage(member, row)
        return bytes(stored)

    def _damage(self, member: str, row: int) -> LakeError:
        return LakeError(
            f"The dataset file {self._path} is damaged: {member} lacks the chunk of sample {row}."
        )

    def _map_parts(self, task: Callable[[range], list[_Found]], rows: range) -> list[_Found]:
        parts = [rows[start : start + SAMPLES_PER_TASK] for start in range(0, len(rows), SAMPLES_PER_TASK)]
        return [found for part in self._pool.map(task, parts) for found in part]
