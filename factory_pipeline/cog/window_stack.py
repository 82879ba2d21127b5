"""Windows on their way: what their rasters hold of them, filled block by block.

Windows that need parts of one shape go together, as a stack; arrays have them along their first axis.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.header import RasterLayout
from factory_pipeline.cog.reader import ReadFailure, ReadWindow
from factory_pipeline.cog.resample import Indices, Mask, Sampling


@dataclass(frozen=True, eq=False)
class TilePixels:
    """What one raster holds of the windows of a stack."""

    stack: "PendingStack"
    layout: RasterLayout
    rows: Indices
    """(windows,) row of each part's first pixel in the raster; parts may reach over the raster's edges."""
    columns: Indices
    """(windows,) column of the same pixel."""
    values: NDArray[np.generic]
    """(windows, rows, columns) of the parts."""

    def needed_blocks(self) -> Iterator[tuple[int, Indices]]:
        """Every block that is needed and not sparse, and the windows that need it."""
        layout, (_, height, width) = self.layout, self.values.shape
        rows, in_rows = _blocks_along(self.rows, height, layout.grid.height, layout.block_height)
        columns, in_columns = _blocks_along(self.columns, width, layout.grid.width, layout.block_width)
        needed = in_rows[:, :, None] & in_columns[:, None, :]
        blocks = (rows[:, :, None] * layout.blocks_across + columns[:, None, :])[needed]
        order = np.argsort(blocks, kind="stable")
        members = np.nonzero(needed)[0][order]
        numbers, starts = np.unique(blocks[order], return_index=True)
        spans = itertools.pairwise([*starts.tolist(), len(order)])
        for block, (start, end) in zip(numbers.tolist(), spans, strict=True):
            if layout.byte_counts[block]:
                yield block, members[start:end]

    def rows_needed(self, block: int, members: Indices) -> int:
        """How many of a block's rows, counted from its first, hold what these windows need."""
        layout = self.layout
        last = min(int(self.rows[members].max()) + self.values.shape[1], layout.grid.height)
        return min(last - block // layout.blocks_across * layout.block_height, layout.block_height)

    def take(self, block: int, pixels: NDArray[np.generic], members: Indices) -> None:
        """Copy what these windows need from a decoded block, of which only their rows need be there."""
        layout, (_, height, width) = self.layout, self.values.shape
        row, column = divmod(block, layout.blocks_across)
        rows = _shared(self.rows[members], height, layout.grid.height, row, layout.block_height)
        columns = _shared(self.columns[members], width, layout.grid.width, column, layout.block_width)
        for member, (to_rows, from_rows), (to_columns, from_columns) in zip(
            members.tolist(), rows, columns, strict=True
        ):
            self.values[member, to_rows, to_columns] = pixels[from_rows, from_columns]

    @property
    def valid(self) -> Mask:
        """Where the raster holds data; None for everywhere."""
        layout, (_, height, width) = self.layout, self.values.shape
        rows = _inside(self.rows, height, layout.grid.height)
        columns = _inside(self.columns, width, layout.grid.width)
        valid = rows[:, :, None] & columns[:, None, :]
        if layout.nodata is not None and not np.isnan(layout.nodata):
            valid = valid & (self.values != layout.nodata)
        if self.values.dtype.kind == "f":
            # What is no number is no data, whether or not a tag says so.
            valid = valid & np.isfinite(self.values)
        return None if valid.all() else np.broadcast_to(valid, self.values.shape)


@dataclass(frozen=True, eq=False)
class PendingPatch:
    """The parts of one source that the windows of a stack need."""

    sampling: Sampling
    tiles: list[TilePixels]
    """One per raster; all have the shape of the parts."""


@dataclass(eq=False)
class PendingStack:
    """Windows of one shape that are made of parts of one shape."""

    places: Indices
    """Of the windows, among the reads."""
    shape: tuple[int, int]
    """Rows and columns of a window."""
    dtype: np.dtype
    patches: list[PendingPatch] = field(default_factory=list)
    blocks_missing: int = 0
    failures: dict[int, ReadFailure] = field(default_factory=dict)
    """Why windows can't be read, by their place in the stack."""
    answers: list[ReadWindow | ReadFailure] = field(default_factory=list)
    """One per window, once no block is missing."""


def _blocks_along(firsts: Indices, count: int, size: int, block: int) -> tuple[Indices, NDArray[np.bool_]]:
    """Along one axis: numbers of blocks, (windows, most that a window may need), and which each needs.

    Args:
        firsts: (windows,) first pixel of each part.
        count: pixels of a part.
        size: pixels of the raster.
        block: pixels of a block.
    """
    low = np.maximum(firsts, 0) // block
    high = np.where(firsts < size, (np.minimum(firsts + count, size) - 1) // block, -1)
    numbers = low[:, None] + np.arange(max((high - low).max() + 1, 0))
    return numbers, numbers <= high[:, None]


def _shared(firsts: Indices, count: int, size: int, number: int, block: int) -> Iterator[tuple[slice, slice]]:
    """Along one axis: what each part and a block share, in the pixels of the part and of the block."""
    start = number * block
    begins = np.maximum(firsts, start)
    ends = np.minimum(firsts + count, min(start + block, size))
    for first, begin, end in zip(firsts.tolist(), begins.tolist(), ends.tolist(), strict=True):
        yield slice(begin - first, end - first), slice(begin - start, end - start)


def _inside(firsts: Indices, count: int, size: int) -> NDArray[np.bool_]:
    """(windows, count): which pixels of each part the raster has along one axis."""
    places = firsts[:, None] + np.arange(count)
    return (places >= 0) & (places < size)
