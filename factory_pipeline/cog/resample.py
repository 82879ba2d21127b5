"""Resampling cut pixels onto windows, with the results of GDAL's warp.

As in GDAL (alg/gdalwarpkernel.cpp), a window's pixel has no data if its centre is outside of the source or in
a source pixel without data. Bilinear weights of neighbours that are outside or hold no data are distributed
over the others. Integers are rounded half up. If the window's pixels are larger than the source's, GDAL
widens the bilinear kernel; this module does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.alignment import Alignment, Floats, Projection
from factory_pipeline.cog.reader import Indices, Resampling
from factory_pipeline.cog.recycled import RECYCLER
from factory_pipeline.cog.scratch import Scratch

EDGE = 1e-10
"""GDAL's tolerance for a centre that is on the edge between two pixels."""
_LEAST_WEIGHT = 1e-5
_PIXELS_AT_ONCE = 32 * 32 * 32
"""Pixels of windows that are resampled at a time, so that their values stay in the processor's cache."""
_SCRATCH, _SCRATCH_OF_HOLES = Scratch(), Scratch()

Mask = NDArray[np.bool_] | None
"""False where there is no data; None for True everywhere."""
Pixels = tuple[NDArray[np.generic], NDArray[np.bool_]]
"""Values and where they hold data."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """How windows are resampled from a source; all rasters with the source's grid share it and its weights.

    Arrays have the windows along their first axis; all windows need parts of one shape.
    """

    alignment: Alignment | Projection
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
        made: NDArray[np.generic] = RECYCLER.empty((len(self.parts), *self.shape), values.dtype)
        has_data: Mask = None
        for some, piece in self._pieces():
            holds = piece._make(values[some], None if valid is None else valid[some], made[some])
            if holds is not None:
                if has_data is None:
                    has_data = np.ones(made.shape, np.bool_)
                has_data[some] = holds
        return _pixels(made, has_data)

    def _pieces(self) -> Iterator[tuple[slice, "Sampling"]]:
        """Yield the same in pieces of few windows; each is used before the next."""
        if isinstance(self.alignment, Alignment):
            yield from self._shared_pieces
            return
        for some in self._few_at_once():
            alignment = self.alignment.take(some).interpolate(_SCRATCH)
            yield some, replace(self, alignment=alignment, parts=self.parts[some])

    @cached_property
    def _shared_pieces(self) -> list[tuple[slice, "Sampling"]]:
        """The same in pieces of few windows, which keep their weights for other rasters."""
        return [
            (some, replace(self, alignment=self.alignment.take(some), parts=self.parts[some]))
            for some in self._few_at_once()
        ]

    def _few_at_once(self) -> list[slice]:
        at_once = max(1, _PIXELS_AT_ONCE // (self.shape[0] * self.shape[1]))
        return [slice(start, start + at_once) for start in range(0, len(self.parts), at_once)]

    @property
    def _aligned(self) -> Alignment:
        """The positions of the pixels, which a piece has."""
        assert isinstance(self.alignment, Alignment)
        return self.alignment

    def _make(self, values: NDArray[np.generic], valid: Mask, made: NDArray[np.generic]) -> Mask:
        """Write the values of the windows to `made`; return where they hold data."""
        if self.resampling is Resampling.NEAREST:
            values.take(self._centres(), out=made, mode="clip")  # it checks nothing, and has no second copy
            return self._has_data(valid)
        return self._bilinear(values, valid, made)

    @property
    def _rows(self) -> Floats:
        """Positions of the rows, in a shape that broadcasts with (windows, rows, columns)."""
        aligned = self._aligned
        return aligned.rows[:, :, None] if aligned.is_separable else aligned.rows

    @property
    def _columns(self) -> Floats:
        """Positions of the columns, in a shape that broadcasts with (windows, rows, columns)."""
        aligned = self._aligned
        return aligned.columns[:, None, :] if aligned.is_separable else aligned.columns

    @property
    def _firsts(self) -> tuple[Indices, Indices]:
        """Row and column of each part's first pixel, in shapes that broadcast with (windows, rows, cols)."""
        return self.parts[:, 0, None, None], self.parts[:, 1, None, None]

    def _flatten(self, rows: Indices, columns: Indices) -> Indices:
        """Return the indices of pixels of the parts in the flattened values of all of them."""
        height, width = self.counts
        first_rows = np.arange(len(self.parts))[:, None, None] * height
        rows += first_rows
        rows *= width
        flat = _SCRATCH.empty("flat", (len(self.parts), *self.shape), np.intp)
        return np.add(rows, columns, out=flat)

    @cached_property
    def _all_inside(self) -> bool:
        """Whether all of the windows' centres are inside of the source."""
        return all(
            bool(positions.min() >= 0 and positions.max() <= size - EDGE)
            for positions, size in zip((self._rows, self._columns), self.extent, strict=True)
        )

    @cached_property
    def _inside(self) -> Mask:
        """Which of the windows' centres are inside of the source."""
        if self._all_inside:
            return None
        inside = _is_inside(self._rows, self.extent[0]) & _is_inside(self._columns, self.extent[1])
        return np.broadcast_to(inside, (len(self.parts), *self.shape))

    def _centres(self) -> Indices:
        """Return the index of the part's pixel that contains each centre.

        Any index if it is outside of the source.
        """
        first_rows, first_columns = self._firsts
        rows, columns = self._rows, self._columns
        if not self._all_inside:
            rows = np.where(_is_inside(rows, self.extent[0]), rows, first_rows)
            columns = np.where(_is_inside(columns, self.extent[1]), columns, first_columns)
        return self._flatten(
            _centre_indices(rows, first_rows, self.counts[0], "rows"),
            _centre_indices(columns, first_columns, self.counts[1], "columns"),
        )

    def _has_data(self, valid: Mask) -> Mask:
        """Return where the centre of a window's pixel is in a source pixel that holds data."""
        if valid is None:
            return self._inside
        holds = valid.take(self._centres())
        return holds if self._inside is None else holds & self._inside

    def _bilinear(self, values: NDArray[np.generic], valid: Mask, made: NDArray[np.generic]) -> Mask:
        # A neighbour of weight 0 may be NaN in a raster of floats, which would make the sum NaN.
        if self._aligned.is_separable and values.dtype.kind != "f":
            total, weight = self._weigh_along_axes(values, valid)
        else:
            total, weight = self._weigh_neighbours(values, valid)
        has_data = self._has_data(valid)
        if weight is not None:
            enough = weight >= _LEAST_WEIGHT
            if enough.all():
                total /= weight
            else:
                has_data = enough if has_data is None else has_data & enough
                total /= np.where(enough, weight, 1)
        if values.dtype.kind != "f":
            total += 0.5
            if values.dtype.kind == "i":
                np.floor(total, out=total)  # the conversion to an integer cuts, which is the same from 0 on
        np.copyto(made, total, casting="unsafe")
        return has_data

    @cached_property
    def _taps(self) -> tuple["Taps", "Taps", Floats | None]:
        """The neighbours of every row, those of every column, and the sums of their weights.

        The sums are (windows, window rows, window columns); None for 1 everywhere.
        """
        down = Taps.of(self._aligned.rows, self.parts[:, :1], self.counts[0])
        across = Taps.of(self._aligned.columns, self.parts[:, 1:2], self.counts[1])
        of_rows, of_columns = down.low + down.high, across.low + across.high
        if (of_rows == 1).all() and (of_columns == 1).all():
            return down, across, None
        sums = of_rows[:, :, None] * of_columns[:, None, :]
        complete = sums.min(axis=(1, 2)) == 1
        sums[complete] = 1
        return down, across, sums

    def _weigh_along_axes(self, values: NDArray[np.generic], valid: Mask) -> tuple[Floats, Floats | None]:
        """Return the sum of weighted values and the sum of weights (None for 1 everywhere).

        Two neighbours per axis, not a matrix product: a BLAS would start threads of its own beside the
        threads that resample.
        """
        down, across, sums = self._taps
        total = _weigh_axes(values, valid, down, across, _SCRATCH)
        if valid is not None:
            holes = np.flatnonzero(~valid.all(axis=(1, 2)))
            sums = np.ones(total.shape) if sums is None else sums.copy()
            sums[holes] = _weigh_axes(
                valid[holes], None, down.take(holes), across.take(holes), _SCRATCH_OF_HOLES
            )
        return total, sums

    def _weigh_neighbours(self, values: NDArray[np.generic], valid: Mask) -> tuple[Floats, Floats]:
        """Return the sum of weighted values and the sum of weights."""
        first_rows, first_columns = self._firsts
        rows, columns = self._rows, self._columns
        if not self._all_inside:
            rows = _hold(rows, first_rows, self.extent[0])
            columns = _hold(columns, first_columns, self.extent[1])
        top, low_share = _corners(rows, first_rows, "rows")
        left, right_share = _corners(columns, first_columns, "columns")
        windows, (height, width) = len(self.parts), self.counts
        holds: Mask = valid
        if valid is None and _has_both(top, height) and _has_both(left, width):
            numbers = _SCRATCH.empty("numbers", values.shape)
            np.copyto(numbers, values)
        else:
            # Neighbours outside of the part are outside of the source: a ring of pixels without data stands
            # for them.
            ring = ((0, 0), (1, 1), (1, 1))
            known = values if valid is None else np.where(valid, values, values.dtype.type(0))
            numbers = np.pad(known.astype(np.float64), ring)
            holds = np.pad(np.ones(values.shape, np.bool_) if valid is None else valid, ring)
            top, left, height, width = top + 1, left + 1, height + 2, width + 2
        shape = windows, *self.shape
        corner, place = (_SCRATCH.empty(name, shape, np.intp) for name in ("corner", "place"))
        top += np.arange(windows)[:, None, None] * height
        top *= width
        np.add(top, left, out=corner)
        share, taken, total, weight = (
            _SCRATCH.empty(name, shape) for name in ("share", "taken", "total", "weight")
        )
        total[:] = weight[:] = 0
        for row_step, row_share in (0, 1 - low_share), (width, low_share):
            for step, column_share in (row_step, 1 - right_share), (row_step + 1, right_share):
                np.multiply(row_share, column_share, out=share)
                np.add(corner, step, out=place)
                if holds is not None:
                    share *= holds.take(place)
                weight += share
                share *= numbers.take(place, out=taken, mode="clip")
                total += share
        return total, weight


def _is_inside(positions: Floats, size: int) -> NDArray[np.bool_]:
    return (positions >= 0) & (positions <= size - EDGE)


def _centre_indices(positions: Floats, first: Indices, count: int, name: str) -> Indices:
    """Return the index in the part of the pixel that contains each position, in a scratch array."""
    pixels = _SCRATCH.empty(f"floor of {name}", positions.shape)
    np.add(positions, EDGE, out=pixels)
    np.floor(pixels, out=pixels)
    indices = _SCRATCH.empty(name, positions.shape, np.intp)
    np.copyto(indices, pixels, casting="unsafe")
    indices -= first
    return np.minimum(indices, count - 1, out=indices)


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


def _weigh_axis(values: Floats, taps: Taps, scratch: Scratch) -> Floats:
    """Interpolate (windows, part pixels, n) to (windows, positions, n): rows of n are gathered at once.

    The values are contiguous.
    """
    windows, count, width = values.shape
    rows = values.reshape(windows * count, width)
    starts = np.arange(windows)[:, None] * count
    shape = (*taps.before.shape, width)
    total, other = (scratch.empty(name, shape) for name in ("total", "other"))
    rows.take(starts + taps.before, axis=0, out=total, mode="clip")
    total *= taps.low[:, :, None]
    rows.take(starts + taps.after, axis=0, out=other, mode="clip")
    other *= taps.high[:, :, None]
    total += other
    return total


def _weigh_axes(
    values: NDArray[np.generic], valid: Mask, down: Taps, across: Taps, scratch: Scratch
) -> Floats:
    """Interpolate (windows, part rows, part columns) to (windows, window rows, window columns).

    Values that are not valid count as 0.
    """
    turned = values.swapaxes(1, 2)
    numbers = scratch.empty("turned", turned.shape)
    np.copyto(numbers, turned)
    if valid is not None:
        numbers[~valid.swapaxes(1, 2)] = 0
    wide = _weigh_axis(numbers, across, scratch).swapaxes(1, 2)
    rows = scratch.empty("rows", wide.shape)
    np.copyto(rows, wide)
    return _weigh_axis(rows, down, scratch)


def _hold(positions: Floats, first: Indices, size: int) -> Floats:
    """Return the positions, those outside of the source replaced by any inside."""
    return np.where((positions >= 0) & (positions <= size), positions, first)


def _corners(positions: Floats, first: Indices, name: str) -> tuple[Indices, Floats]:
    """Return the index in the part of the neighbour before each position, and the weight of the one after.

    Both are scratch arrays.
    """
    shares, before = (_SCRATCH.empty(f"{what} of {name}", positions.shape) for what in ("share", "floor"))
    np.subtract(positions, 0.5, out=shares)
    np.floor(shares, out=before)
    shares -= before
    indices = _SCRATCH.empty(name, positions.shape, np.intp)
    np.copyto(indices, before, casting="unsafe")
    indices -= first
    return indices, shares


def _has_both(before: Indices, count: int) -> bool:
    """Return whether a part has all neighbours before and after some positions."""
    return bool(before.min() >= 0 and before.max() < count - 1)


def _pixels(values: NDArray[np.generic], has_data: Mask) -> Pixels:
    """Return `values`, overwritten with 0 where there is no data, and `has_data`."""
    if has_data is None:
        return values, np.broadcast_to(np.True_, values.shape)
    values[~has_data] = 0
    return values, np.array(has_data)
