"""Resampling cut pixels onto a window, with the results of GDAL's warp.

What GDAL does (alg/gdalwarpkernel.cpp), and so does this module: a window's pixel has no data where its
centre lies outside of the source or in a source pixel without data. Bilinear weights of neighbours that are
outside or hold no data are shared out among the others. Integers are rounded half up. Where the window's
pixels are larger than the source's, GDAL widens the bilinear kernel; that is not done here, see `coarsens`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.alignment import Alignment
from factory_pipeline.cog.reader import ReadWindow, Resampling

_EDGE = 1e-10
"""GDAL's tolerance for a centre that lies on the edge between two pixels."""
_LEAST_WEIGHT = 1e-5
_SAME_SIZE = 1 + 1e-9

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_] | None
"""False where there is no data; None for True everywhere."""
Span = tuple[int, int]
"""First pixel, and the one behind the last."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """How a window is made from a source; all rasters with the source's grid share it, and its weights."""

    alignment: Alignment
    extent: tuple[int, int]
    """Rows and columns of the source."""
    shape: tuple[int, int]
    """Rows and columns of the window."""
    resampling: Resampling

    @cached_property
    def part(self) -> tuple[Span, Span] | None:
        """Rows and columns of the source that the window needs, or None if it lies elsewhere."""
        if self.alignment.offset is not None:
            row, column = self.alignment.offset
            rows = max(row, 0), min(row + self.shape[0], self.extent[0])
            columns = max(column, 0), min(column + self.shape[1], self.extent[1])
            return (rows, columns) if rows[0] < rows[1] and columns[0] < columns[1] else None
        found_rows = _needed_span(self.alignment.rows, self.extent[0], self.resampling)
        found_columns = _needed_span(self.alignment.columns, self.extent[1], self.resampling)
        return None if found_rows is None or found_columns is None else (found_rows, found_columns)

    @cached_property
    def coarsens(self) -> bool:
        """True where bilinear weights are not enough: the window's pixels are larger than the source's."""
        if self.alignment.offset is not None or self.resampling is Resampling.NEAREST:
            return False
        spans = np.ptp(self.alignment.rows), np.ptp(self.alignment.columns)
        # The size of a single pixel can't be told from its centre.
        return any(
            count == 1 or span > (count - 1) * _SAME_SIZE
            for span, count in zip(spans, self.shape, strict=True)
        )

    def apply(self, values: NDArray[np.generic], valid: Mask) -> ReadWindow:
        """The window from the pixels of `part`, of which `valid` hold data."""
        if self.alignment.offset is not None:
            return self._copy(values, valid)
        if self.resampling is Resampling.NEAREST:
            rows, columns, _ = self._centres
            return _window(values[rows, columns], self._has_data(valid))
        return self._bilinear(values, valid)

    def _copy(self, values: NDArray[np.generic], valid: Mask) -> ReadWindow:
        if values.shape == self.shape and valid is None:
            return ReadWindow(values, np.ones(self.shape, np.bool_))
        assert self.alignment.offset is not None
        assert self.part is not None
        (top, _), (left, _) = self.part
        row, column = top - self.alignment.offset[0], left - self.alignment.offset[1]
        place = np.s_[row : row + values.shape[0], column : column + values.shape[1]]
        copied: NDArray[np.generic] = np.zeros(self.shape, values.dtype)
        has_data = np.zeros(self.shape, np.bool_)
        has_data[place] = True if valid is None else valid
        np.copyto(copied[place], values, where=has_data[place])
        return ReadWindow(copied, has_data)

    @cached_property
    def _firsts(self) -> tuple[int, int]:
        """Row and column of the part's first pixel."""
        assert self.part is not None
        return self.part[0][0], self.part[1][0]

    @cached_property
    def _counts(self) -> tuple[int, int]:
        """Rows and columns of the part."""
        assert self.part is not None
        (top, bottom), (left, right) = self.part
        return bottom - top, right - left

    @cached_property
    def _centres(self) -> tuple[NDArray[np.intp], NDArray[np.intp], Mask]:
        """Rows and columns of the part in which the window's centres lie, and which lie inside the source.

        The indices broadcast to the window's shape; those of centres outside are somewhere in the part.
        """
        rows, inside_rows = _centre_indices(
            self.alignment.rows, self._firsts[0], self._counts[0], self.extent[0]
        )
        columns, inside_columns = _centre_indices(
            self.alignment.columns, self._firsts[1], self._counts[1], self.extent[1]
        )
        if self.alignment.is_separable:
            rows, inside_rows = rows[:, None], inside_rows[:, None]
        if inside_rows.all() and inside_columns.all():
            return rows, columns, None
        return rows, columns, np.broadcast_to(inside_rows & inside_columns, self.shape)

    def _has_data(self, valid: Mask) -> Mask:
        """Where a window's pixel has its centre in a pixel that holds data."""
        rows, columns, inside = self._centres
        if valid is None:
            return inside
        holds = valid[rows, columns]
        return holds if inside is None else holds & inside

    def _bilinear(self, values: NDArray[np.generic], valid: Mask) -> ReadWindow:
        numbers = values.astype(np.float64)
        if valid is not None:
            numbers[~valid] = 0
        # In a product of matrices one NaN would spoil whole rows and columns.
        if self.alignment.is_separable and (values.dtype.kind != "f" or np.isfinite(numbers).all()):
            total, weight = self._weigh_by_matrices(numbers, valid)
        else:
            total, weight = self._weigh_neighbours(numbers, valid)
        has_data = self._has_data(valid)
        if weight is not None:
            enough = weight >= _LEAST_WEIGHT
            has_data = enough if has_data is None else has_data & enough
            total /= np.where(enough, weight, 1)
        if values.dtype.kind != "f":
            total = np.floor(total + 0.5)
        if has_data is not None:
            total = np.where(has_data, total, 0)
        return _window(total.astype(values.dtype), has_data)

    @cached_property
    def _matrices(self) -> tuple[Floats, Floats, Floats | None]:
        """(window rows, part rows) and (part columns, window columns) bilinear weights, and their sums."""
        down = _weights(self.alignment.rows, self._firsts[0], self._counts[0])
        across = _weights(self.alignment.columns, self._firsts[1], self._counts[1]).T
        sums = np.outer(down.sum(axis=1), across.sum(axis=0))
        return down, across, None if sums.min() == 1 else sums

    def _weigh_by_matrices(self, values: Floats, valid: Mask) -> tuple[Floats, Floats | None]:
        """Sum of weighted values and sum of weights (None for 1 everywhere)."""
        down, across, sums = self._matrices
        if valid is not None:
            sums = down @ valid.astype(np.float64) @ across
        return down @ values @ across, sums

    @cached_property
    def _neighbours(self) -> list[tuple[NDArray[np.intp], Floats]]:
        """The four neighbours of each centre, as indices into the flattened part, and their weights.

        Neighbours outside of the part lie outside of the source: their weight is 0.
        """
        rows = self.alignment.rows[:, None] if self.alignment.is_separable else self.alignment.rows
        top, low_share = _corners(rows, self._firsts[0], self.extent[0])
        left, right_share = _corners(self.alignment.columns, self._firsts[1], self.extent[1])
        downs = [_within(top, 1 - low_share, self._counts[0]), _within(top + 1, low_share, self._counts[0])]
        acrosses = [
            _within(left, 1 - right_share, self._counts[1]),
            _within(left + 1, right_share, self._counts[1]),
        ]
        return [
            (row * self._counts[1] + column, row_weight * column_weight)
            for row, row_weight in downs
            for column, column_weight in acrosses
        ]

    def _weigh_neighbours(self, values: Floats, valid: Mask) -> tuple[Floats, Floats]:
        """Sum of weighted values and sum of weights."""
        total, weight = np.zeros(self.shape), np.zeros(self.shape)
        for place, share in self._neighbours:
            held = share if valid is None else share * valid.ravel()[place]
            total += held * values.ravel()[place]
            weight += held
        return total, weight


def _needed_span(positions: Floats, size: int, resampling: Resampling) -> Span | None:
    low, high = float(positions.min()), float(positions.max())
    if not np.isfinite(high - low):
        finite = positions[np.isfinite(positions)]
        if finite.size == 0:
            return None
        low, high = float(finite.min()), float(finite.max())
    if high < 0 or low > size:
        return None
    if resampling is Resampling.BILINEAR:
        low, high = low - 0.5, high + 0.5
    first, last = int((low + _EDGE) // 1), int((high + _EDGE) // 1)
    return min(max(first, 0), size - 1), min(max(last, 0), size - 1) + 1


def _centre_indices(
    positions: Floats, first: int, count: int, size: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    inside = (positions >= 0) & (positions <= size - _EDGE)
    if not inside.all():
        positions = np.where(inside, positions, first)
    indices = np.floor(positions + _EDGE).astype(np.intp) - first
    return np.minimum(indices, count - 1), inside


def _weights(positions: Floats, first: int, count: int) -> Floats:
    """(positions, count) bilinear weights; a neighbour outside of the part lies outside of the source."""
    before = np.floor(positions - 0.5)
    share = positions - 0.5 - before
    places = np.minimum(np.maximum(before.astype(np.intp) - first + 1, 0), count)
    weights = np.zeros((len(positions), count + 2))
    each = np.arange(len(positions))
    weights[each, places] = 1 - share
    weights[each, places + 1] = share
    return weights[:, 1:-1]


def _corners(positions: Floats, first: int, size: int) -> tuple[NDArray[np.intp], Floats]:
    """Index in the part of the neighbour before each position, and the weight of the one after it."""
    held = np.where((positions >= 0) & (positions <= size), positions, first) - 0.5
    before = np.floor(held)
    return before.astype(np.intp) - first, held - before


def _within(indices: NDArray[np.intp], weights: Floats, count: int) -> tuple[NDArray[np.intp], Floats]:
    """Indices that are all in the part; those that were not have no weight."""
    kept = np.minimum(np.maximum(indices, 0), count - 1)
    return kept, np.where(kept == indices, weights, 0)


def _window(values: NDArray[np.generic], has_data: Mask) -> ReadWindow:
    """`values` are fresh: those without data become 0."""
    if has_data is None:
        return ReadWindow(values, np.ones(values.shape, np.bool_))
    values[~has_data] = 0
    return ReadWindow(values, np.array(has_data))
