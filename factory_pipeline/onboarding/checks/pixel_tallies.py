"""The tallies of the files of an upload, stored while their pixels are checked: these are decoded once.

Which files are training images is known only after the checks; the statistics of these are summed from here.
"""

import mmap
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from factory_pipeline.imagery.band_tallies import BandTally, unpack_tallies
from factory_pipeline.storage.atomic import atomic_write

_COUNT = struct.Struct("<q")


class TallyWriter:
    """Appends the tallies of files, in the order of their table."""

    def __init__(self, file: IO[bytes]) -> None:
        """Start with an empty file."""
        self._file = file
        self._ends = [0]

    def append(self, packed: bytes) -> None:
        """Append the tallies of the next file, from `band_tallies.pack_tallies`; nothing for one without."""
        self._file.write(packed)
        self._ends.append(self._ends[-1] + len(packed))

    def finish(self) -> None:
        """Write where each file's tallies end."""
        self._file.write(np.array(self._ends, "<i8").tobytes() + _COUNT.pack(len(self._ends)))


@contextmanager
def write_tallies(path: Path) -> Iterator[TallyWriter]:
    """Yield a writer; the file is at `path` once the block ends without an error, and only then."""
    path.unlink(missing_ok=True)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        writer = TallyWriter(file)
        yield writer
        writer.finish()


class StoredTallies:
    """Tallies of the files of a dataset by their path."""

    def __init__(self, packed: mmap.mmap | bytes = b"", spans: Mapping[str, tuple[int, int]] | None = None):
        """None by default.

        Args:
            packed: the tallies.
            spans: start and end of each file's tallies in `packed`, by path.
        """
        self._packed = packed
        self._spans = spans or {}

    def of(self, path: str, dtype: np.dtype | None = None) -> list[BandTally] | None:
        """Return the tallies of the bands of a file; None if they are not stored, or of another type.

        Args:
            path: relative to the dataset's folder.
            dtype: of the file's values, if it matters.
        """
        start, end = self._spans.get(path, (0, 0))
        if start == end:
            return None
        found, bands = unpack_tallies(self._packed[start:end])
        return bands if dtype in (None, found) else None


def read_tallies(path: Path, placed: pl.DataFrame) -> StoredTallies:
    """Return the tallies that `write_tallies` wrote.

    Args:
        path: of the tallies; one that does not exist has none.
        placed: `row`, the position of files in the order in which they were written, and their `path`.
    """
    try:
        with path.open("rb") as file:
            packed = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        return StoredTallies()
    (count,) = _COUNT.unpack_from(packed, len(packed) - _COUNT.size)
    ends = np.frombuffer(packed[-_COUNT.size - 8 * count : -_COUNT.size], "<i8")
    rows = placed["row"].to_numpy()
    spans = zip(ends[rows].tolist(), ends[rows + 1].tolist(), strict=True)
    return StoredTallies(packed, dict(zip(placed["path"], spans, strict=True)))
