"""Resampling cut pixels onto windows, with the results of GDAL's warp.

As in GDAL (alg/gdalwarpkernel.cpp), a window's pixel has no data if its centre is outside of the source or in
a source pixel without data. Bilinear weights of neighbours that are outside or hold no data are distributed
over the others. Integers are rounded half up. If the window's pixels are larger than the source's, GDAL
widens the bilinear kernel; this module does not.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.alignment import Alignment, Floats
from factory_pipeline.cog.reader import Indices, Resampling

EDGE = 1e-10
"""GDAL's tolerance for a centre that is on the edge between two pixels."""
_LEAST_WEIGHT = 1e-5
_PIXELS_AT_ONCE = 64 * 32 * 32
"""Pixels of windows that are resampled at a time, so that their values stay in the processor's cache."""

Mask = NDArray[np.bool_] | None
"""False where there is no data; None for True everywhere."""
Pixels = tuple[NDArray[np.generic], NDArray[np.bool_]]
"""Values and where they hold data."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """How windows are resampled from a source; all rasters with the source's grid share it and its weights.

    Arrays have the windows along their first axis; all windows need parts of one shape.
    """

    alignment: Alignment
    extent: tuple[int, int]
    """Rows and columns of the source."""
    shape: tuple[int, int]
    """Rows and columns of a window."""
    resampling: Resampling
    parts: Indices
    """(windows, 4) first row, first column, rows, columns of the source that each window needs."""

    @property
    def counts(self) -> tuple[int, int]:
        """Return rows and columns of a part."""
        return int(self.parts[0, 2]), int(self.parts[0, 3])

    def apply(self, values: NDArray[np.generic], valid: Mask) -> Pixels:
        """Resample the windows from the pixels of their parts.

        Args:
            values: (windows, rows, columns) of the parts; the array may be reused for the result.
            valid: which of them hold data, of the same shape.

        Returns:
            Values and validity, each (windows, rows, columns); values are 0 where there is no data.
        """
        if self.alignment.coincides[0]:
            return _pixels(values, valid)
        made = [
            piece._make(values[some], None if valid is None else valid[some]) for some, piece in self._pieces
        ]
        made_values, made_valid = (np.concatenate(arrays) for arrays in zip(*made, strict=True))
        return made_values, made_valid

    @cached_property
    def _pieces(self) -> list[tuple[slice, "Sampling"]]:
        """Return the same in pieces of few windows."""
        at_once = max(1, _PIXELS_AT_ONCE // (self.shape[0] * self.shape[1]))
        pieces = [slice(start, start + at_once) for start in range(0, len(self.parts), at_once)]
        return [
            (some, replace(self, alignment=self.alignment.take(some), parts=self.parts[some]))
            for some in pieces
        ]

    def _make(self, values: NDArray[np.generic], valid: Mask) -> Pixels:
        if self.resampling is Resampling.NEAREST:
            return _pixels(values.take(self._centres()), self._has_data(valid))
        return self._bilinear(values, valid)

    @property
    def _rows(self) -> Floats:
        """Positions of the rows, in a shape that broadcasts with (windows, rows, columns)."""
        return self.alignment.rows[:, :, None] if self.alignment.is_separable else self.alignment.rows

    @property
    def _columns(self) -> Floats:
        """Positions of the columns, in a shape that broadcasts with (windows, rows, columns)."""
        return self.alignment.columns[:, None, :] if self.alignment.is_separable else self.alignment.columns

    @property
    def _firsts(self) -> tuple[Indices, Indices]:
        """Row and column of each part's first pixel, in shapes that broadcast with (windows, rows, cols)."""
        return self.parts[:, 0, None, None], self.parts[:, 1, None, None]

    def _flatten(self, rows: Indices, columns: Indices) -> Indices:
        """Return the indices of pixels of the parts in the flattened values of all of them."""
        height, width = self.counts
        first_rows = np.arange(len(self.parts))[:, None, None] * height
        return (first_rows + rows) * width + columns

    @cached_property
    def _inside(self) -> Mask:
        """Which of the windows' centres are inside of the source."""
        inside = _is_inside(self._rows, self.extent[0]) & _is_inside(self._columns, self.extent[1])
        return None if inside.all() else np.broadcast_to(inside, (len(self.parts), *self.shape))

    def _centres(self) -> Indices:
        """Return the index of the part's pixel that contains each centre.

        Any index if it is outside of the source.
        """
        first_rows, first_columns = self._firsts
        rows = _centre_indices(self._rows, first_rows, self.counts[0], self.extent[0])
        columns = _centre_indices(self._columns, first_columns, self.counts[1], self.extent[1])
        return self._flatten(rows, columns)

    def _has_data(self, valid: Mask) -> Mask:
        """Return where the centre of a window's pixel is in a source pixel that holds data."""
        if valid is None:
            return self._inside
        holds = valid.take(self._centres())
        return holds if self._inside is None else holds & self._inside

    def _bilinear(self, values: NDArray[np.generic], valid: Mask) -> Pixels:
        numbers = values.astype(np.float64)
        if valid is not None:
            numbers[~valid] = 0
        # A neighbour of weight 0 may be NaN in a raster of floats, which would make the sum NaN.
        if self.alignment.is_separable and values.dtype.kind != "f":
            total, weight = self._weigh_along_axes(numbers, valid)
        else:
            total, weight = self._weigh_neighbours(numbers, valid)
        has_data = self._has_data(valid)
        if weight is not None:
            enough = weight >= _LEAST_WEIGHT
            has_data = enough if has_data is None else has_data & enough
            total /= np.where(enough, weight, 1)
        if values.dtype.kind != "f":
            total += 0.5
            np.floor(total, out=total)
        return _pixels(total.astype(values.dtype), has_data)

    @cached_property
    def _taps(self) -> tuple["Taps", "Taps", Floats | None]:
        """The neighbours of every row, those of every column, and the sums of their weights.

        The sums are (windows, window rows, window columns); None for 1 everywhere.
        """
        down = Taps.of(self.alignment.rows, self.parts[:, :1], self.counts[0])
        across = Taps.of(self.alignment.columns, self.parts[:, 1:2], self.counts[1])
        sums = (down.low + down.high)[:, :, None] * (across.low + across.high)[:, None, :]
        complete = sums.min(axis=(1, 2)) == 1
        sums[complete] = 1
        return down, across, None if complete.all() else sums

    def _weigh_along_axes(self, values: Floats, valid: Mask) -> tuple[Floats, Floats | None]:
        """Return the sum of weighted values and the sum of weights (None for 1 everywhere).

        Two neighbours per axis, not a matrix product: a BLAS would start threads of its own beside the
        threads that resample.
        """
        down, across, sums = self._taps
        total = _weigh_axes(values, down, across)
        if valid is not None:
            holes = np.flatnonzero(~valid.all(axis=(1, 2)))
            sums = np.ones(total.shape) if sums is None else sums.copy()
            holds = valid[holes].astype(np.float64)
            sums[holes] = _weigh_axes(holds, down.take(holes), across.take(holes))
        return total, sums

    def _weigh_neighbours(self, values: Floats, valid: Mask) -> tuple[Floats, Floats]:
        """Return the sum of weighted values and the sum of weights."""
        # Neighbours outside of the part are outside of the source: a ring of pixels without data stands for
        # them.
        ring = ((0, 0), (1, 1), (1, 1))
        numbers = np.pad(values, ring)
        holds = np.pad(np.ones(values.shape, np.bool_) if valid is None else valid, ring)
        windows, height, width = numbers.shape
        first_rows, first_columns = self._firsts
        top, low_share = _corners(self._rows, first_rows - 1, self.extent[0])
        left, right_share = _corners(self._columns, first_columns - 1, self.extent[1])
        corner = (top + np.arange(windows)[:, None, None] * height) * width + left
        total, weight = np.zeros(corner.shape), np.zeros(corner.shape)
        for row_step, row_share in (0, 1 - low_share), (width, low_share):
            for step, column_share in (row_step, 1 - right_share), (row_step + 1, right_share):
                share = row_share * column_share
                place = corner + step
                share *= holds.take(place)
                weight += share
                share *= numbers.take(place)
                total += share
        return total, weight


def _is_inside(positions: Floats, size: int) -> NDArray[np.bool_]:
    return (positions >= 0) & (positions <= size - EDGE)


def _centre_indices(positions: Floats, first: Indices, count: int, size: int) -> Indices:
    held = np.where(_is_inside(positions, size), positions, first)
    return np.minimum(np.floor(held + EDGE).astype(np.intp) - first, count - 1)


@dataclass(frozen=True, eq=False)
class Taps:
    """The two neighbours along one axis that a bilinear value is made of; arrays are (windows, positions)."""

    before: Indices
    """Index in the part of the neighbour before the position."""
    after: Indices
    """Of the one after it."""
    low: Floats
    """Weight of the neighbour before; 0 if it is outside of the part, so outside of the source."""
    high: Floats
    """Of the one after it."""

    @classmethod
    def of(cls, positions: Floats, first: Indices, count: int) -> "Taps":
        """Find the neighbours.

        Args:
            positions: (windows, positions).
            first: (windows, 1) first pixel of each part.
            count: pixels of a part.
        """
        floor = np.floor(positions - 0.5)
        share = positions - 0.5 - floor
        before = floor.astype(np.intp) - first
        after = before + 1
        low = np.where((before >= 0) & (before < count), 1 - share, 0)
        high = np.where((after >= 0) & (after < count), share, 0)
        return cls(np.clip(before, 0, count - 1), np.clip(after, 0, count - 1), low, high)

    def take(self, members: Indices) -> "Taps":
        """Return the neighbours of some of the windows."""
        return Taps(self.before[members], self.after[members], self.low[members], self.high[members])


def _weigh_axis(values: Floats, taps: Taps) -> Floats:
    """Interpolate (windows, part pixels, n) to (windows, positions, n): rows of n are gathered at once."""
    windows, count, width = values.shape
    rows = np.ascontiguousarray(values).reshape(windows * count, width)
    starts = np.arange(windows)[:, None] * count
    total = rows.take(starts + taps.before, axis=0)
    total *= taps.low[:, :, None]
    other = rows.take(starts + taps.after, axis=0)
    other *= taps.high[:, :, None]
    total += other
    return total


def _weigh_axes(values: Floats, down: Taps, across: Taps) -> Floats:
    """Interpolate (windows, part rows, part columns) to (windows, window rows, window columns)."""
    return _weigh_axis(_weigh_axis(values.swapaxes(1, 2), across).swapaxes(1, 2), down)


def _corners(positions: Floats, first: Indices, size: int) -> tuple[Indices, Floats]:
    """Return the index in the part of the neighbour before each position, and the weight of the one after."""
    held = np.where((positions >= 0) & (positions <= size), positions, first) - 0.5
    before = np.floor(held)
    return before.astype(np.intp) - first, held - before


def _pixels(values: NDArray[np.generic], has_data: Mask) -> Pixels:
    """Return `values`, overwritten with 0 where there is no data, and `has_data`."""
    if has_data is None:
        return values, np.broadcast_to(np.True_, values.shape)
    values[~has_data] = 0
    return values, np.array(has_data)
