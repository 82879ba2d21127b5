"""Windows in progress: the parts that their rasters contribute, filled block by block.

Windows that need parts of the same shape form a stack; arrays have them along their first axis.
"""

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from factory_pipeline.cog.header import RasterLayout
from factory_pipeline.cog.packed_pixels import BlockPixels, PackedPixels
from factory_pipeline.cog.reader import Indices, ReadFailure
from factory_pipeline.cog.recycled import RECYCLER
from factory_pipeline.cog.resample import Mask, Sampling

BlocksOfBand = Sequence[tuple[int, Indices]]
"""Blocks of one band, counted from its first, each with the windows that touch it."""
_ALLOCATING = threading.Lock()
_FEWEST_TOGETHER = 8
_LARGEST_TOGETHER = 64 * 64
"""Parts of a block that are copied at once: at least so many, of so many pixels at most.

Others are copied one by one, which takes a microsecond each.
"""


@dataclass(eq=False)
class TilePixels:
    """The parts of the windows of a stack that one raster contributes.

    Their pixels take memory from the first block that is cut for them.
    """

    stack: "PendingStack"
    layout: RasterLayout
    rows: Indices
    """(windows,) row of each part's first pixel in the raster; parts may extend beyond the raster."""
    columns: Indices
    """(windows,) column of the same pixel."""
    shape: tuple[int, int]
    """Rows and columns of a part."""
    band: int
    """Index of the band."""
    nodata: float | None
    """The value without data."""
    _values: NDArray[np.generic] | None = None

    @property
    def values(self) -> NDArray[np.generic]:
        """Return the pixels of the parts (windows, rows, columns); what no block fills has the fill value."""
        if self._values is None:
            with _ALLOCATING:
                if self._values is None:
                    shape = len(self.rows), *self.shape
                    values = RECYCLER.empty(shape, self.layout.dtype)
                    values[...] = self.layout.fill
                    self._values = values
        return self._values

    def forget_pixels(self) -> None:
        """Free the pixels: nothing more is cut."""
        self._values = None

    def needed_blocks(self, of_band: BlocksOfBand | None = None) -> Iterator[tuple[int, Indices]]:
        """Yield every block that is needed and not sparse, and the windows that need it.

        Args:
            of_band: from `blocks_of_band` of a raster with the same pixels and blocks; None to find them.
        """
        layout = self.layout
        first = self.band * layout.blocks_per_band if layout.bands_in_block == 1 else 0
        for number, members in self.blocks_of_band() if of_band is None else of_band:
            if layout.byte_counts[first + number]:
                yield first + number, members

    def blocks_of_band(self) -> BlocksOfBand:
        """Return the blocks of a band that the windows touch, counted from its first one."""
        layout, (height, width) = self.layout, self.shape
        rows, in_rows = _blocks_along(self.rows, height, layout.grid.height, layout.block_height)
        columns, in_columns = _blocks_along(self.columns, width, layout.grid.width, layout.block_width)
        needed = in_rows[:, :, None] & in_columns[:, None, :]
        blocks = (rows[:, :, None] * layout.blocks_across + columns[:, None, :])[needed]
        order = np.argsort(blocks, kind="stable")
        members = np.nonzero(needed)[0][order]
        numbers, starts = np.unique(blocks[order], return_index=True)
        spans = itertools.pairwise([*starts.tolist(), len(order)])
        return [
            (number, members[start:end]) for number, (start, end) in zip(numbers.tolist(), spans, strict=True)
        ]

    def rows_needed(self, block: int, members: Indices) -> int:
        """Return how many of a block's rows, counted from its first, contain what these windows need.

        Args:
            block: index in the layout.
            members: indices of the windows.
        """
        layout = self.layout
        last = min(int(self.rows[members].max()) + self.shape[0], layout.grid.height)
        row = block % layout.blocks_per_band // layout.blocks_across
        return min(last - row * layout.block_height, layout.block_height)

    def take(self, block: int, pixels: BlockPixels, members: Indices) -> None:
        """Copy what these windows need from a decoded block, of which only their rows need to be decoded.

        Args:
            block: number of the block.
            pixels: of the block.
            members: indices of the windows.
        """
        layout, (height, width), values = self.layout, self.shape, self.values
        row, column = divmod(block % layout.blocks_per_band, layout.blocks_across)
        plane: NDArray[np.generic] | PackedPixels
        if isinstance(pixels, PackedPixels):
            plane = pixels
        else:
            plane = pixels[:, :, self.band if layout.bands_in_block > 1 else 0]
            if len(members) >= _FEWEST_TOGETHER and height * width <= _LARGEST_TOGETHER:
                members = self._take_whole(row, column, plane, members)
                if not members.size:
                    return
        rows = _intersect(self.rows[members], height, layout.grid.height, row, layout.block_height)
        columns = _intersect(self.columns[members], width, layout.grid.width, column, layout.block_width)
        for member, (to_rows, from_rows), (to_columns, from_columns) in zip(
            members.tolist(), rows, columns, strict=True
        ):
            values[member, to_rows, to_columns] = plane[from_rows, from_columns]

    def _take_whole(self, row: int, column: int, plane: NDArray[np.generic], members: Indices) -> Indices:
        """Copy all parts at once that a block contains to their last pixel; return the other windows.

        Args:
            row: of the block.
            column: of the block.
            plane: (rows, columns) of the block.
            members: indices of the windows.
        """
        layout, (height, width) = self.layout, self.shape
        top, left = row * layout.block_height, column * layout.block_width
        first_rows, first_columns = self.rows[members] - top, self.columns[members] - left
        # At the raster's edges blocks are padded beyond its last pixel.
        last_row = min(layout.block_height, layout.grid.height - top) - height
        last_column = min(layout.block_width, layout.grid.width - left) - width
        whole = (first_rows >= 0) & (first_rows <= last_row)
        whole &= (first_columns >= 0) & (first_columns <= last_column)
        others = members[~whole]
        if len(others) < len(members):
            if len(others):
                members, first_rows, first_columns = members[whole], first_rows[whole], first_columns[whole]
            # The part at each of its first pixels.
            shape = plane.shape[0] - height + 1, plane.shape[1] - width + 1, height, width
            parts = as_strided(plane, shape, plane.strides * 2, writeable=False)
            self.values[members] = parts[first_rows, first_columns]
        return others

    @property
    def valid(self) -> Mask:
        """Return where the raster holds data; None for everywhere."""
        layout, (height, width), values = self.layout, self.shape, self.values
        rows = _is_inside(self.rows, height, layout.grid.height)
        columns = _is_inside(self.columns, width, layout.grid.width)
        conditions = []
        if not (rows.all() and columns.all()):
            conditions.append(rows[:, :, None] & columns[:, None, :])
        if self.nodata is not None and not np.isnan(self.nodata):
            conditions.append(values != self.nodata)
        if values.dtype.kind == "f":
            # NaN is no data, whether or not a tag says so.
            conditions.append(np.isfinite(values))
        conditions = [condition for condition in conditions if not condition.all()]
        if not conditions:
            return None
        valid = conditions[0]
        for condition in conditions[1:]:
            valid = valid & condition
        return np.broadcast_to(valid, values.shape)


@dataclass(frozen=True, eq=False)
class PendingPatch:
    """The parts of one source that the windows of a stack need."""

    sampling: Sampling
    tiles: list[TilePixels]
    """One per raster; all have the shape of the parts."""


@dataclass(eq=False)
class PendingStack:
    """Windows of one shape that are resampled from parts of one shape."""

    positions: Indices
    """Indices of the windows among the reads."""
    shape: tuple[int, int]
    """Rows and columns of a window."""
    dtype: np.dtype
    patches: list[PendingPatch] = field(default_factory=list)
    blocks_missing: int = 0
    failures: dict[int, ReadFailure] = field(default_factory=dict)
    """Why windows can't be read, by their index in the stack."""

    def forget_pixels(self) -> None:
        """Free the parts, also those to which a block that is still in use refers."""
        for patch in self.patches:
            for tile in patch.tiles:
                tile.forget_pixels()
        self.patches = []


def _blocks_along(firsts: Indices, count: int, size: int, block: int) -> tuple[Indices, NDArray[np.bool_]]:
    """Return the block numbers along one axis, (windows, most that a window may need), and which each needs.

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


def _intersect(
    firsts: Indices, count: int, size: int, number: int, block: int
) -> Iterator[tuple[slice, slice]]:
    """Yield what each part and a block share along one axis, in the pixels of the part and of the block."""
    start = number * block
    begins = np.maximum(firsts, start)
    ends = np.minimum(firsts + count, min(start + block, size))
    for first, begin, end in zip(firsts.tolist(), begins.tolist(), ends.tolist(), strict=True):
        yield slice(begin - first, end - first), slice(begin - start, end - start)


def _is_inside(firsts: Indices, count: int, size: int) -> NDArray[np.bool_]:
    """Return which pixels of each part the raster has along one axis, (windows, count)."""
    positions = firsts[:, None] + np.arange(count)
    return (positions >= 0) & (positions < size)
