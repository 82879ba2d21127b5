"""Where many images are, in bands of latitude on disk: only those of one band need be in memory."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.imagery.overlap import (
    SAME_PLACE_DEGREES,
    placed_corners,
    round_corners,
    search_bounds,
)
from factory_pipeline.storage.atomic import working_path

BAND_IMAGES = 1 << 16
"""Images of a band, or as many more as have their southern edge within 111 m."""
_STEP = 10_000
"""Of latitude, in SAME_PLACE_DEGREES: bands begin at a multiple of it."""
_SOUTH_POLE = round(-90 / SAME_PLACE_DEGREES)
_NEAR_POLE = round(-88.9 / SAME_PLACE_DEGREES)
_ROW = np.dtype(
    [
        ("south", np.int64),
        ("corners", np.float64, (4, 2)),
        ("size", np.float64, (2,)),
        ("side", np.int8),
    ]
)


@dataclass(frozen=True)
class Band:
    """The images of a band of latitude, in the order in which they were added."""

    corners: NDArray[np.float64]
    """(images, 4, 2) as those of `Ground`."""
    sizes: NDArray[np.float64]
    """(images, 2) width and height in pixels."""
    sides: NDArray[np.int8]
    """(images,) the number that each was added with."""
    next_south: float
    """Latitude in degrees that no image of a later band reaches south of; infinite for the last."""


class GroundBands:
    """Images sorted by their southern edge, in a temporary file: a run for each part that is added.

    Images of the same footprint are in the same band. Add all parts first, then read the bands.
    """

    def __init__(self, folder: Path, band_images: int = BAND_IMAGES) -> None:
        """Open the file.

        Args:
            folder: of the file, which has no name there and disappears when it is closed.
            band_images: images of a band at least, except of the last.
        """
        self._file = tempfile.TemporaryFile(dir=working_path(folder))  # noqa: SIM115
        self._band_images = band_images
        self._counts = np.zeros((90 - -90) * round(1 / SAME_PLACE_DEGREES) // _STEP + 1, np.int64)
        """Images by their southern edge, in steps."""
        self._runs = [0]
        """Where each run begins, in rows, and where the last one ends."""
        self._edges = np.empty(0, np.int64)
        self._cuts = np.empty((0, 0), np.int64)
        """(runs, bands + 1) where the images of each band begin in each run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()

    def add(self, items: pl.DataFrame, sides: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Add images.

        Args:
            items: as for `imagery.footprints`; all of them are in memory.
            sides: (items,) a number for each.

        Returns:
            (items,) True for those that are georeferenced; the others are in no band.
        """
        placed, corners, sizes = placed_corners(items)
        rows = np.empty(len(placed), _ROW)
        rows["south"], rows["corners"] = _southern_edges(corners), corners
        rows["size"], rows["side"] = sizes, sides[placed]
        # A stable sort: of equal footprints the one that was added first stays first.
        rows = rows[np.argsort(rows["south"], kind="stable")]
        rows.tofile(self._file)
        self._runs.append(self._runs[-1] + len(rows))
        self._counts += np.bincount((rows["south"] - _SOUTH_POLE) // _STEP, minlength=len(self._counts))
        self._edges = np.empty(0, np.int64)
        is_placed = np.zeros(items.height, np.bool_)
        is_placed[placed] = True
        return is_placed

    def __len__(self) -> int:
        """Return the number of bands."""
        self._cut()
        return len(self._edges)

    def __iter__(self) -> Iterator[Band]:
        """Yield the bands from south to north."""
        for number in range(len(self)):
            yield self.band(number)

    def band(self, number: int) -> Band:
        """Return one band.

        Args:
            number: of the band, from 0 in the south.
        """
        self._cut()
        rows = np.concatenate([self._read(*run[number : number + 2].tolist()) for run in self._cuts])
        last = number + 1 == len(self._edges)
        # An edge is half a step of the rounding below the number that it is rounded to, or less.
        next_south = np.inf if last else (self._edges[number + 1] - 1) * SAME_PLACE_DEGREES
        return Band(rows["corners"], rows["size"], rows["side"], float(next_south))

    def _cut(self) -> None:
        """Find where bands begin, in degrees and in the runs, once all images are added."""
        if self._edges.size or not self._runs[-1]:
            return
        before = np.cumsum(self._counts) - self._counts
        there = np.flatnonzero(self._counts)
        _, first = np.unique(before[there] // self._band_images, return_index=True)
        self._edges = there[first] * _STEP + _SOUTH_POLE
        self._cuts = np.array(
            [
                start + np.append(np.searchsorted(self._read(start, end)["south"], self._edges), end - start)
                for start, end in zip(self._runs[:-1], self._runs[1:], strict=True)
            ]
        )

    def _read(self, start: int, end: int) -> NDArray[np.void]:
        self._file.seek(start * _ROW.itemsize)
        return np.fromfile(self._file, _ROW, end - start)


def _southern_edges(corners: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the southern edge of each footprint in SAME_PLACE_DEGREES, the same for equal footprints."""
    rounded = round_corners(corners).astype(np.float64) * SAME_PLACE_DEGREES
    south = np.round(search_bounds(rounded, 0.0)[:, 1] / SAME_PLACE_DEGREES).astype(np.int64)
    # Those around the South Pole reach it, whatever their corners; which ones are is a matter of rounding.
    south[south <= _NEAR_POLE] = _SOUTH_POLE
    return south
