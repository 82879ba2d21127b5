"""Which pixels of its sources each window needs, and which windows can be resampled together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.alignment import Alignment, Floats, Projection, prepare_alignment
from factory_pipeline.cog.grid import Grid, GridStack
from factory_pipeline.cog.reader import Indices, Resampling
from factory_pipeline.cog.resample import EDGE, Sampling

_MOST_WINDOWS = 512
"""Of a batch: larger ones save little."""
_MOST_PIXELS = 2**21
"""Of a batch of several windows: all of them are in memory until the last of their blocks is cut."""
_SAME_SIZE = 1 + 1e-9


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Windows that are resampled together: they need parts of the same shape of every source."""

    members: Indices
    """Indices of the windows."""
    shape: tuple[int, int]
    """Rows and columns of a window."""
    samplings: Sequence[Sampling | None]
    """How they are resampled from each source; None if they need nothing of it."""


def batch_windows(windows: GridStack, sources: Sequence[Grid], resampling: Resampling) -> list[WindowBatch]:
    """Group windows that can be resampled together.

    Those whose pixels are larger than a source's are left out: there GDAL widens its bilinear kernel.

    Args:
        windows: any number; a batch refers to them by index.
        sources: grids of the rasters.
        resampling: nearest or bilinear.
    """
    height, width = windows.like.shape
    most = min(_MOST_WINDOWS, max(1, _MOST_PIXELS // (height * width)))
    batches: list[WindowBatch] = []
    for start in range(0, len(windows), most):
        members = np.arange(start, min(start + most, len(windows)))
        batches += _batches_of(members, windows.take(members), sources, resampling)
    return batches


def _batches_of(
    members: Indices, windows: GridStack, sources: Sequence[Grid], resampling: Resampling
) -> Iterator[WindowBatch]:
    """Yield the batches of windows that have the same CRS, pixel size and shape."""
    shape = windows.like.shape
    alignments = [prepare_alignment(windows, source) for source in sources]
    extremes = [_Extremes.of(alignment) for alignment in alignments]
    parts = [
        _needed_parts(alignment, extreme, source.shape, shape, resampling)
        for alignment, extreme, source in zip(alignments, extremes, sources, strict=True)
    ]
    coarse = np.zeros(len(windows), np.bool_)
    if resampling is Resampling.BILINEAR:
        for alignment, extreme in zip(alignments, extremes, strict=True):
            coarse |= extreme.are_coarse(shape) & ~alignment.coincides
    needs = [part[:, 2:] for part in parts] + [alignment.coincides[:, None] for alignment in alignments]
    kinds, kind_of = np.unique(np.concatenate(needs, axis=1), axis=0, return_inverse=True)
    for kind in range(len(kinds)):
        chosen = np.flatnonzero((kind_of == kind) & ~coarse)
        if chosen.size:
            samplings = [
                Sampling(alignment.take(chosen), source.shape, shape, resampling, part[chosen])
                for alignment, source, part in zip(alignments, sources, parts, strict=True)
            ]
            yield WindowBatch(members[chosen], shape, [it if all(it.counts) else None for it in samplings])


@dataclass(frozen=True, eq=False)
class _Extremes:
    """The lowest and the highest position of each window along the rows and the columns of a source."""

    of_all: Floats
    """(windows, 2: rows and columns, 2: low and high); not finite where a point can't be projected."""
    of_finite: Floats
    """The same without such points; the low is greater than the high if there are no others."""

    @classmethod
    def of(cls, alignment: Alignment | Projection) -> "_Extremes":
        """Find the extremes of windows."""
        if isinstance(alignment, Alignment):
            return cls._of_positions(alignment.rows, alignment.columns)
        columns, rows = alignment.interpolate_edges()
        extremes = cls._of_positions(rows, columns)
        inexact = np.flatnonzero(~alignment.is_exact)
        if inexact.size:
            projected = cls.of(alignment.take(inexact).interpolate())
            extremes.of_all[inexact] = projected.of_all
            extremes.of_finite[inexact] = projected.of_finite
        return extremes

    @classmethod
    def _of_positions(cls, rows: Floats, columns: Floats) -> "_Extremes":
        of_all, of_finite = np.empty((2, len(rows), 2, 2))
        for axis, positions in enumerate((rows, columns)):
            each = positions.reshape(len(positions), -1)
            with np.errstate(invalid="ignore"):  # of points that can't be projected
                low, high = each.min(axis=1), each.max(axis=1)
            of_all[:, axis] = np.stack([low, high], axis=1)
            if not (np.isfinite(low).all() and np.isfinite(high).all()):
                finite = np.isfinite(each)
                low = np.where(finite, each, np.inf).min(axis=1)
                high = np.where(finite, each, -np.inf).max(axis=1)
            of_finite[:, axis] = np.stack([low, high], axis=1)
        return cls(of_all, of_finite)

    def are_coarse(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which windows of a shape have larger pixels than the source."""
        coarse = np.zeros(len(self.of_all), np.bool_)
        for axis, count in enumerate(shape):
            with np.errstate(invalid="ignore"):
                spans = self.of_all[:, axis, 1] - self.of_all[:, axis, 0]
            # The size of a single pixel can't be derived from its centre.
            coarse |= (spans > (count - 1) * _SAME_SIZE) | (count == 1)
        return coarse


def _needed_parts(
    alignment: Alignment | Projection,
    extremes: _Extremes,
    extent: tuple[int, int],
    shape: tuple[int, int],
    resampling: Resampling,
) -> Indices:
    """Return what each window needs: (windows, 4) first row, first column, rows, columns; zeros for nothing.

    A window that coincides needs as many pixels as it has, also those outside of the source.
    """
    rows, row_counts = _needed_spans(extremes.of_finite[:, 0], extent[0], resampling)
    columns, column_counts = _needed_spans(extremes.of_finite[:, 1], extent[1], resampling)
    parts = np.stack([rows, columns, row_counts, column_counts], axis=1)
    parts[(parts[:, 2:] == 0).any(axis=1)] = 0
    own = np.concatenate([alignment.offsets, np.broadcast_to(shape, alignment.offsets.shape)], axis=1)
    inside = (alignment.offsets < extent) & (alignment.offsets + shape > 0)
    own[~inside.all(axis=1)] = 0
    return np.where(alignment.coincides[:, None], own, parts)


def _needed_spans(extremes: Floats, size: int, resampling: Resampling) -> tuple[Indices, Indices]:
    """Return the first pixel and number of pixels that each window needs along one axis; 0 for none."""
    low, high = extremes.T
    touches = (high >= 0) & (low <= size)
    reach = 0.5 if resampling is Resampling.BILINEAR else 0.0
    first = np.floor(np.where(touches, low, 0) - reach + EDGE).astype(np.intp)
    last = np.floor(np.where(touches, high, 0) + reach + EDGE).astype(np.intp)
    first, last = np.clip(first, 0, size - 1), np.clip(last, 0, size - 1)
    return first, np.where(touches, last - first + 1, 0)


def is_coarser_than_source(alignment: Alignment, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which windows have larger pixels than the source: there neighbours' weights don't suffice.

    Args:
        alignment: of n windows with their source.
        shape: rows and columns of each window.

    Returns:
        (n,).
    """
    return _Extremes.of(alignment).are_coarse(shape) & ~alignment.coincides
