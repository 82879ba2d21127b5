"""How often each value occurs in each band of a file, or its moments: what statistics are made of.

The tally of a file whose values are integers of up to 16 bits says all that statistics need of it, in less
bytes than its pixels: it can be stored where the file is read, and added to others later.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.imagery.streaming_quantiles import Counts, Moments

NO_COUNTS = Counts(0, np.zeros(0, dtype=np.int64))
_HEAD = struct.Struct("<2cH")
"""Kind and size of the values' type, number of bands."""
_BAND = struct.Struct("<qqIIBB")
"""No data, lowest value, length of the counts, number of those that are stored, their bytes, whether their
positions are stored too."""


@dataclass(frozen=True)
class BandTally:
    """One band of one file or of all: counts by value, or moments."""

    no_data: int
    counts: Counts
    moments: Moments

    def __add__(self, other: "BandTally") -> "BandTally":
        return BandTally(
            self.no_data + other.no_data, self.counts + other.counts, self.moments + other.moments
        )


def is_countable(dtype: np.dtype) -> bool:
    """Return whether values of a type are counted one by one: integers of up to 16 bits."""
    return dtype.kind in "iu" and dtype.itemsize <= 2


def count_bands(values: NDArray[np.generic], valid: NDArray[np.bool_]) -> list[BandTally]:
    """Return the counts of each band.

    Args:
        values: (bands, rows, columns) of a countable type.
        valid: the same shape; False where a pixel is no data.
    """
    if valid.all():
        return [BandTally(0, Counts.of(band), Moments()) for band in values]
    return [
        BandTally(good.size - int(np.count_nonzero(good)), Counts.of(band[good]), Moments())
        for band, good in zip(values, valid, strict=True)
    ]


def add_tallies(totals: Sequence[BandTally], more: Sequence[BandTally]) -> list[BandTally]:
    """Return the tallies of two parts, band by band.

    Args:
        totals: of the parts so far; empty before the first.
        more: of the next part.
    """
    return [one + other for one, other in zip(totals, more, strict=True)] if totals else list(more)


def pack_tallies(dtype: np.dtype, bands: Sequence[BandTally]) -> bytes:
    """Return the counts of a file as bytes; of each band, the shorter of all counts and those that are not 0.

    Args:
        dtype: of the file's values, a countable type.
        bands: from `count_bands`.
    """
    parts = [_HEAD.pack(dtype.kind.encode(), str(dtype.itemsize).encode(), len(bands))]
    for band in bands:
        counts = band.counts.counts
        small = np.min_scalar_type(int(counts.max())) if counts.size else np.dtype(np.uint8)
        is_sparse = int(np.count_nonzero(counts)) * (2 + small.itemsize) < counts.size * small.itemsize
        present = np.flatnonzero(counts) if is_sparse else None
        stored = counts if present is None else counts[present]
        parts.append(
            _BAND.pack(band.no_data, band.counts.lowest, counts.size, stored.size, small.itemsize, is_sparse)
        )
        parts += [] if present is None else [present.astype("<u2").tobytes()]
        parts.append(stored.astype(small.newbyteorder("<")).tobytes())
    return b"".join(parts)


def unpack_tallies(packed: bytes | memoryview) -> tuple[np.dtype, list[BandTally]]:
    """Return the type and the bands that `pack_tallies` was called with."""
    kind, itemsize, count = _HEAD.unpack_from(packed)
    at = _HEAD.size
    bands = []
    for _ in range(count):
        no_data, lowest, length, stored, small, is_sparse = _BAND.unpack_from(packed, at)
        at += _BAND.size
        counts = np.zeros(length, dtype=np.int64)
        where: NDArray[np.generic] | slice = slice(None)
        if is_sparse:
            where = np.frombuffer(packed, "<u2", stored, at)
            at += where.nbytes
        counts[where] = np.frombuffer(packed, f"<u{small}", stored, at)
        at += stored * small
        bands.append(BandTally(no_data, Counts(lowest, counts), Moments()))
    return np.dtype(f"{kind.decode()}{itemsize.decode()}"), bands
