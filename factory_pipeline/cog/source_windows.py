"""Which pixels of its sources each window needs, and which windows can be resampled together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.alignment import Alignment, Floats, align
from factory_pipeline.cog.grid import Grid, GridStack
from factory_pipeline.cog.reader import Indices, Resampling
from factory_pipeline.cog.resample import EDGE, Sampling

_LARGEST_LOT = 512
"""Largest number of windows in a batch. Larger ones save little."""
_MOST_PIXELS = 2**21
"""Of a batch of several windows: their positions in another CRS take 32 MB.

All windows of a batch are in memory until the last of their blocks is cut.
"""
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
    most = min(_LARGEST_LOT, max(1, _MOST_PIXELS // (height * width)))
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
    alignments = [align(windows, source) for source in sources]
    parts = [
        _needed_parts(alignment, source.shape, shape, resampling)
        for alignment, source in zip(alignments, sources, strict=True)
    ]
    coarse = np.zeros(len(windows), np.bool_)
    if resampling is Resampling.BILINEAR:
        for alignment in alignments:
            coarse |= is_coarser_than_source(alignment, shape)
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


def _needed_parts(
    alignment: Alignment, extent: tuple[int, int], shape: tuple[int, int], resampling: Resampling
) -> Indices:
    """Return what each window needs: (windows, 4) first row, first column, rows, columns; zeros for nothing.

    A window that coincides needs as many pixels as it has, also those outside of the source.
    """
    rows, row_counts = _needed_spans(alignment.rows, extent[0], resampling)
    columns, column_counts = _needed_spans(alignment.columns, extent[1], resampling)
    parts = np.stack([rows, columns, row_counts, column_counts], axis=1)
    parts[(parts[:, 2:] == 0).any(axis=1)] = 0
    own = np.concatenate([alignment.offsets, np.broadcast_to(shape, alignment.offsets.shape)], axis=1)
    inside = (alignment.offsets < extent) & (alignment.offsets + shape > 0)
    own[~inside.all(axis=1)] = 0
    return np.where(alignment.coincides[:, None], own, parts)


def _needed_spans(positions: Floats, size: int, resampling: Resampling) -> tuple[Indices, Indices]:
    """Return the first pixel and number of pixels that each window needs along one axis; 0 for none."""
    each = positions.reshape(len(positions), -1)
    finite = np.isfinite(each)
    low = np.where(finite, each, np.inf).min(axis=1)
    high = np.where(finite, each, -np.inf).max(axis=1)
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
    coarse = np.zeros(len(alignment.rows), np.bool_)
    for positions, count in zip((alignment.rows, alignment.columns), shape, strict=True):
        with np.errstate(invalid="ignore"):  # of points that can't be projected
            spans = np.ptp(positions.reshape(len(positions), -1), axis=1)
        # The size of a single pixel can't be derived from its centre.
        coarse |= (spans > (count - 1) * _SAME_SIZE) | (count == 1)
    return coarse & ~alignment.coincides
