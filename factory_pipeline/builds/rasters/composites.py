"""One picture of several, which come one after the other: memory does not grow with their number.

A median needs all pictures at once: beyond a limit they wait in a temporary file (in the folder that TMPDIR
names), and are combined a few rows at a time.
"""

import tempfile
from collections.abc import Sequence
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.builds.rasters.pixels import Valid, Values, composite, fill_holes

_BYTES_PER_VALUE = 32
"""Of a value of one band while its median is computed: float64, sorted, and its copies."""


FIRST_CHOICE = ("none", "first_valid", "best_clear")
"""Kinds that take each pixel of one picture as it is."""


class Composite(Protocol):
    """Takes the pictures of one window and step, first choice first."""

    def add(self, values: Values, valid: Valid) -> None:
        """Take one more picture.

        Args:
            values: (bands, rows, columns); it may be kept and written to.
            valid: (rows, columns).
        """

    def finish(self) -> tuple[Values, Valid]:
        """Return (bands, rows, columns) and (rows, columns); there was at least one picture."""


def start_composite(kind: str, nodata: Sequence[float], most_in_memory: int) -> Composite:
    """Return what makes one picture of several as `pixels.composite` does.

    Args:
        kind: see `pixels.composite`.
        nodata: of each band.
        most_in_memory: bytes of pictures above which those of a median wait in a file.
    """
    if kind == "mean":
        return _Mean(nodata)
    if kind == "median":
        return _Median(nodata, most_in_memory)
    return _FirstChoice(nodata, by_share=kind == "best_clear")


class _FirstChoice:
    """The value of the first picture with data, or of that with the largest share of data."""

    def __init__(self, nodata: Sequence[float], by_share: bool) -> None:
        self._nodata, self._by_share = nodata, by_share
        self._values: Values | None = None
        self._rank: NDArray[np.float64] = np.empty(0)

    def add(self, values: Values, valid: Valid) -> None:
        rank = float(valid.mean()) if self._by_share else 0.0
        if self._values is None:
            self._values, self._rank = values, np.where(valid, rank, -1.0)
            fill_holes(values, valid, self._nodata)
            return
        fresh = valid & (rank > self._rank)
        np.copyto(self._values, values, where=fresh)
        np.copyto(self._rank, rank, where=fresh)

    def finish(self) -> tuple[Values, Valid]:
        assert self._values is not None
        return self._values, self._rank >= 0


class _Mean:
    def __init__(self, nodata: Sequence[float]) -> None:
        self._nodata = nodata
        self._total: NDArray[np.float64] | None = None
        self._count: NDArray[np.int64] = np.empty(0, np.int64)
        self._dtype: np.dtype[Any] = np.dtype(np.float64)

    def add(self, values: Values, valid: Valid) -> None:
        if self._total is None:
            self._total, self._count = np.zeros(values.shape), np.zeros(valid.shape, np.int64)
            self._dtype = values.dtype
        self._total += np.where(valid, values, 0)
        self._count += valid

    def finish(self) -> tuple[Values, Valid]:
        assert self._total is not None
        made = self._total / np.maximum(self._count, 1)
        if self._dtype.kind != "f":
            made = np.floor(made + 0.5)
        holds = self._count > 0
        filled = np.where(holds, made, np.asarray(self._nodata)[:, None, None])
        return filled.astype(self._dtype), holds


class _Median:
    def __init__(self, nodata: Sequence[float], most_in_memory: int) -> None:
        self._nodata, self._most = nodata, most_in_memory
        self._pictures: list[tuple[Values, Valid]] = []
        self._file: IO[bytes] | None = None
        self._count = 0
        self._like: tuple[tuple[int, ...], np.dtype[Any]] = ((), np.dtype(np.float64))

    def add(self, values: Values, valid: Valid) -> None:
        self._like = values.shape, values.dtype
        self._count += 1
        self._pictures.append((values, valid))
        if self._file is None and self._count * values.nbytes > self._most:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  (closed when it is read)
        if self._file is not None:
            for picture, holds in self._pictures:
                self._file.write(np.ascontiguousarray(picture).tobytes())
                self._file.write(np.ascontiguousarray(holds).tobytes())
            self._pictures.clear()

    def finish(self) -> tuple[Values, Valid]:
        (bands, height, width), dtype = self._like
        made, holds = np.empty((bands, height, width), dtype), np.empty((height, width), np.bool_)
        per_row = self._count * width * (bands * dtype.itemsize + _BYTES_PER_VALUE)
        rows = max(1, self._most // per_row)
        for start in range(0, height, rows):
            part = slice(start, min(start + rows, height))
            made[:, part], holds[part] = composite("median", *self._rows(part), self._nodata)
        if self._file is not None:
            self._file.close()
        return made, holds

    def _rows(self, part: slice) -> tuple[Values, Valid]:
        """Return rows of all pictures: (pictures, bands, rows, columns) and (pictures, rows, columns)."""
        if self._file is None:
            return (
                np.stack([values[:, part] for values, _ in self._pictures]),
                np.stack([valid[part] for _, valid in self._pictures]),
            )
        (bands, height, width), dtype = self._like
        count = part.stop - part.start
        values = np.empty((self._count, bands, count, width), dtype)
        valid = np.empty((self._count, count, width), np.bool_)
        of_band, of_mask = height * width * dtype.itemsize, height * width
        picture_bytes = bands * of_band + of_mask
        for number in range(self._count):
            for band in range(bands):
                offset = number * picture_bytes + band * of_band + part.start * width * dtype.itemsize
                self._read(offset, values[number, band])
            self._read(number * picture_bytes + bands * of_band + part.start * width, valid[number])
        return values, valid

    def _read(self, offset: int, target: NDArray[Any]) -> None:
        assert self._file is not None
        self._file.seek(offset)
        target[:] = np.frombuffer(self._file.read(target.nbytes), target.dtype).reshape(target.shape)
