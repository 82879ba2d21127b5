"""Finding shots that are in more than one granule, without all shots in memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray


class FirstShots:
    """Tells, file by file, which shots no earlier file had; remembers only what a later file might repeat.

    A shot number starts with the orbit, so that granules of different orbits have ranges of shot numbers that
    are apart. A file's shots are forgotten after the last file whose range overlaps.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        """Look up the range of shot numbers of every file; they are then to be marked in this order."""
        self._last_rival = _last_overlaps([_shot_range(path) for path in files])
        self._kept: dict[int, NDArray[np.int64]] = {}

    def mark(self, position: int, shots: pl.Series) -> pl.Series:
        """Return True for each shot of the file at `position` that neither it nor an earlier file had before.

        Args:
            position: of the file, in the order in which files count.
            shots: its shot numbers.
        """
        numbers = shots.to_numpy()
        first = shots.is_first_distinct().to_numpy().copy()
        for earlier in self._kept.values():
            first &= ~np.isin(numbers, earlier)
        self._kept[position] = numbers[first]
        for known in [known for known in self._kept if self._last_rival[known] <= position]:
            del self._kept[known]
        return pl.Series(first)


def _shot_range(path: Path) -> tuple[int, int]:
    """Return smallest and greatest shot number of a file; an empty range for a file without footprints."""
    shot = pl.col("shot_number")
    smallest, greatest = pl.scan_parquet(path).select(a=shot.min(), b=shot.max()).collect().row(0)
    return (smallest, greatest) if smallest is not None else (1, 0)


def _last_overlaps(ranges: Sequence[tuple[int, int]]) -> list[int]:
    """Return for each range the position of the last later one that overlaps, or -1."""
    bounds = np.array(ranges, dtype=np.int64).reshape(-1, 2)
    last = []
    for position, (smallest, greatest) in enumerate(ranges):
        later = bounds[position + 1 :]
        rivals = np.flatnonzero((later[:, 0] <= greatest) & (later[:, 1] >= smallest))
        last.append(position + 1 + int(rivals[-1]) if rivals.size else -1)
    return last
