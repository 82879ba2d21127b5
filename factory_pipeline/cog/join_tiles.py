"""Windows over tiles whose pixels differ in size: the tiles are joined before they are resampled.

Copernicus DEM's columns get wider at 50, 60, 70, 75, 80 and 85 degrees. If each tile is resampled by itself,
a bilinear kernel ends at the tile's edge: on a slope the error is up to half a pixel's rise. So every tile is
first extended beyond its edge by the pixels of its neighbours, interpolated at its own pixel centres:
whatever is linear across the edge stays linear.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.alignment import Alignment, align
from factory_pipeline.cog.grid import Grid, GridStack
from factory_pipeline.cog.header import RasterLayout
from factory_pipeline.cog.read_plan import group_tiles
from factory_pipeline.cog.reader import (
    Indices,
    ReadFailure,
    ReadStack,
    ReadWindow,
    Resampling,
    StackRead,
    TakeStack,
    WindowRead,
    one_by_one,
    stack_reads,
)
from factory_pipeline.cog.resample import Sampling
from factory_pipeline.cog.source_windows import is_coarser_than_source

MARGIN = 4
"""Pixels around the pixels that a window needs: a kernel reaches one pixel further, whose own kernel reaches
into the neighbour's pixels, and those may be half as wide.
"""


@dataclass(frozen=True, eq=False)
class Part:
    """The pixels around a window of rasters that share one pixel grid."""

    grid: Grid
    """Their grid; it may extend beyond the rasters."""
    pixels: ReadWindow
    """The pixels on this grid."""


@dataclass(frozen=True)
class Join:
    """A window that is made of parts of different pixel grids."""

    read: WindowRead
    parts: Sequence[WindowRead]
    """How the pixels of each part are read, first choice first."""

    def finish(self, answers: Sequence[ReadWindow | ReadFailure]) -> ReadWindow | ReadFailure:
        """Return the window from the results of its parts; a failure if one of them failed."""
        parts = []
        for part, answer in zip(self.parts, answers, strict=True):
            if isinstance(answer, ReadFailure):
                return answer
            parts.append(Part(part.grid, answer))
        return join_parts(parts, self.read.grid)


class PendingJoins:
    """Windows that are made of parts of several pixel grids: each waits for its parts.

    The parts are read as windows of their own, whose positions follow those of all windows.
    """

    def __init__(self, reads: Sequence[StackRead], take: TakeStack) -> None:
        """Prepare for joins among some reads.

        Args:
            reads: all that are requested, joined or not.
            take: is given every window once its parts are read.
        """
        self._take = take
        self._first_part = 1 + max((max(read.positions.tolist(), default=0) for read in reads), default=0)
        self._joins: dict[int, Join] = {}
        self._owners: list[tuple[int, int]] = []
        self._parts: list[WindowRead] = []
        self._found: dict[int, dict[int, ReadWindow | ReadFailure]] = {}
        self._counting = threading.Lock()

    def split(self, read: StackRead, layouts: Mapping[str, RasterLayout]) -> StackRead:
        """Return a stack without the windows that are joined, whose parts are planned.

        Args:
            read: windows.
            layouts: of each of their assets, by address.
        """
        if not may_join(read.hrefs, read.resampling):
            return read
        others = []
        for member, (position, window) in enumerate(zip(read.positions.tolist(), read.reads(), strict=True)):
            join = plan_join(window, layouts)
            if join is None:
                others.append(member)
            else:
                self._joins[position], self._found[position] = join, {}
                self._owners += [(position, number) for number in range(len(join.parts))]
                self._parts += join.parts
        return read.take(np.array(others, np.intp))

    def parts(self) -> list[StackRead]:
        """Return the parts of all windows that are joined."""
        return stack_reads(self._parts, self._first_part)

    def put(self, positions: Indices, answer: ReadStack | ReadFailure) -> None:
        """Take the answer of windows of a stack: all of them are parts, or none is.

        Args:
            positions: of the windows.
            answer: their pixels, or why they can't be read.
        """
        if positions[0] < self._first_part:
            self._take(positions, answer)
            return
        for index, each in one_by_one(positions - self._first_part, answer):
            self._put_part(*self._owners[index], each)

    def _put_part(self, position: int, part: int, answer: ReadWindow | ReadFailure) -> None:
        join = self._joins[position]
        with self._counting:
            found = self._found[position]
            found[part] = answer
            if len(found) < len(join.parts):
                return
            del self._found[position]
        joined = join.finish([found[number] for number in range(len(join.parts))])
        if isinstance(joined, ReadWindow):
            self._take(np.array([position]), ReadStack(joined.values[None], joined.valid[None]))
        else:
            self._take(np.array([position]), joined)


def may_join(hrefs: Sequence[str], resampling: Resampling) -> bool:
    """Return whether windows that are read of these rasters may have to be joined.

    Args:
        hrefs: addresses of the rasters; they may repeat.
        resampling: how the windows are read.
    """
    return resampling is Resampling.BILINEAR and len(set(hrefs)) > 1


def plan_join(read: WindowRead, layouts: Mapping[str, RasterLayout]) -> Join | None:
    """Plan how a window is read whose rasters must be joined; return None if there is nothing to join.

    Args:
        read: the window.
        layouts: of each of its assets, by address.
    """
    if not may_join(read.hrefs, read.resampling):
        return None
    hrefs = dict.fromkeys(read.hrefs)
    groups = group_tiles([layouts[href] for href in hrefs])
    if len(groups) == 1 or any(is_coarser(read.grid, group.grid) for group in groups):
        return None
    parts = []
    for group in groups:
        grid = part_around(read.grid, group.grid)
        if grid is not None:
            own = tuple(layout.href for layout, _, _ in group.tiles)
            parts.append(replace(read, hrefs=own, grid=grid, resampling=Resampling.NEAREST))
    return Join(read, parts) if len(parts) > 1 else None


def is_coarser(window: Grid, source: Grid) -> bool:
    """Return whether a window's pixels are larger than the source's: then GDAL widens the bilinear kernel.

    Args:
        window: that is resampled to.
        source: grid of the raster; the CRS may differ.
    """
    return bool(is_coarser_than_source(align(GridStack.of([window]), source), window.shape)[0])


def part_around(window: Grid, source: Grid) -> Grid | None:
    """Return the pixels of a source that a window's kernels reach, with a margin; None if there are none.

    Args:
        window: that is resampled to.
        source: grid of the raster; the CRS may differ.
    """
    alignment = align(GridStack.of([window]), source)
    if not (np.isfinite(alignment.rows).all() and np.isfinite(alignment.columns).all()):
        return None
    spans = []
    for positions, size in ((alignment.rows, source.height), (alignment.columns, source.width)):
        first = int(np.floor(positions.min())) - MARGIN
        last = int(np.floor(positions.max())) + MARGIN
        if first >= size or last < 0:
            return None
        spans.append((first, last - first + 1))
    (row, height), (column, width) = spans
    return source.window(row, column, height, width)


def join_parts(parts: Sequence[Part], window: Grid) -> ReadWindow:
    """Resample parts bilinearly as one raster; the first with data at a pixel wins.

    Args:
        parts: of rasters around the window, the preferred one first; at least one.
        window: that is resampled to.

    Returns:
        Values in the common dtype of the parts, rounded half up if that is an integer; 0 without data.
    """
    dtype = np.result_type(*(part.pixels.values.dtype for part in parts))
    values = np.zeros(window.shape)
    valid = np.zeros(window.shape, np.bool_)
    numbers = [replace(part, pixels=_to_numbers(part.pixels)) for part in parts]
    for index, part in enumerate(numbers):
        continued = _extend(part, numbers[:index] + numbers[index + 1 :])
        made = _resample(continued, window, Resampling.BILINEAR)
        own = _resample(part, window, Resampling.NEAREST).valid
        fresh = made.valid & own & ~valid
        values[fresh] = made.values[fresh]
        valid |= fresh
    if np.issubdtype(dtype, np.integer):
        values = np.floor(values + 0.5)
    return ReadWindow(values.astype(dtype), valid)


def _to_numbers(pixels: ReadWindow) -> ReadWindow:
    return ReadWindow(np.where(pixels.valid, pixels.values, 0).astype(np.float64), pixels.valid)


def _extend(part: Part, others: Sequence[Part]) -> Part:
    """Return the part, extended by the others' pixels where it has none, at its own pixel centres."""
    values: NDArray[np.generic] = part.pixels.values.copy()
    valid = part.pixels.valid.copy()
    for other in others:
        if valid.all():
            break
        found = _resample(other, part.grid, Resampling.BILINEAR)
        fresh = found.valid & ~valid
        values[fresh] = found.values[fresh]
        valid |= fresh
    return Part(part.grid, ReadWindow(values, valid))


def _resample(part: Part, window: Grid, resampling: Resampling) -> ReadWindow:
    alignment = _drop_coinciding(align(GridStack.of([window]), part.grid))
    rows, columns = part.grid.shape
    everything = np.array([[0, 0, rows, columns]])
    sampling = Sampling(alignment, part.grid.shape, window.shape, resampling, everything)
    values, valid = sampling.apply(part.pixels.values[None], part.pixels.valid[None])
    return ReadWindow(values[0], valid[0])


def _drop_coinciding(alignment: Alignment) -> Alignment:
    """Return the alignment without coinciding pixels.

    These would be copied, which requires parts of the window's own shape.
    """
    return replace(alignment, coincides=np.zeros_like(alignment.coincides))
