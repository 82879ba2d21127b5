"""The rows of a dataset file: all fields of a sample that are not rasters."""

from collections.abc import Sequence, Sized

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.hdf5.codec import encode_chunk
from factory_pipeline.hdf5.fields import Field
from factory_pipeline.hdf5.layout import TABLE_CHUNK


def row_dtype(fields: Sequence[Field]) -> np.dtype[np.void]:
    """Return a structured row with every field that is not a raster, each under its path."""
    return np.dtype([(field.path, field.dtype, field.shape) for field in fields if not field.is_raster])


def rows_of(samples: Sized, fields: Sequence[Field]) -> NDArray[np.void]:
    """Return the rows (N,) of samples.

    Args:
        samples: with a column or array per field.
        fields: that are stored as rows.

    Raises:
        DatasetFileError: a text is longer than the file can hold.
    """
    rows = np.empty(len(samples), row_dtype(fields))
    for field in fields:
        if not field.is_raster:
            rows[field.path] = field.values(samples)
    return rows


def read_rows(file: h5py.File, fields: Sequence[Field], start: int, stop: int) -> NDArray[np.void]:
    """Return rows `start` to `stop` of a dataset file.

    Args:
        file: of ours.
        fields: that are stored as rows.
        start: first sample.
        stop: the sample after the last.
    """
    dtype = row_dtype(fields)
    rows = np.empty(stop - start, dtype)
    for path in dtype.names or ():
        rows[path] = file[path][start:stop]
    return rows


class RowWriter:
    """Stores rows in chunks of TABLE_CHUNK however they arrive: the same rows give the same bytes."""

    def __init__(self, file: h5py.File, fields: Sequence[Field]) -> None:
        self._chunk = np.zeros(TABLE_CHUNK, row_dtype(fields))
        self._targets = {path: file[path] for path in self._chunk.dtype.names or ()}
        self._filled = 0
        self._stored = 0

    def append(self, rows: NDArray[np.void]) -> None:
        """Add rows after those that were added before."""
        while len(rows):
            taken = rows[: TABLE_CHUNK - self._filled]
            self._chunk[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            rows = rows[len(taken) :]
            if self._filled == TABLE_CHUNK:
                self._store()

    def finish(self) -> None:
        """Store what is left; the rest of the last chunk is zero."""
        if self._filled:
            self._chunk[self._filled :] = np.zeros((), self._chunk.dtype)
            self._store()

    def _store(self) -> None:
        for path, target in self._targets.items():
            offset = (self._stored, *(0 for _ in target.shape[1:]))
            target.id.write_direct_chunk(offset, encode_chunk(self._chunk[path]))
        self._stored += TABLE_CHUNK
        self._filled = 0
