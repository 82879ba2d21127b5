"""From windows to blocks: which pixels of which raster the windows need, and in which blocks they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from factory_pipeline.cog.alignment import pixel_offset
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.header import RasterLayout
from factory_pipeline.cog.reader import Indices, Resampling, StackRead
from factory_pipeline.cog.resample import Sampling
from factory_pipeline.cog.source_windows import WindowBatch, batch_windows
from factory_pipeline.cog.window_stack import BlocksOfBand, PendingPatch, PendingStack, TilePixels

_LARGEST_RANGE = 2**20
_LARGEST_GAP = 1024
"""Largest gap in bytes between two blocks of one request; in a COG neighbours are 8 bytes apart."""
_LARGEST_TOP = 0.75
"""The largest fraction of a block's rows that is decoded without the others: the decoder of full blocks is
faster per row.
"""
_SMALLEST_SAVING = 2**15
"""Bytes at the end of a block that are worth skipping."""
_ROOM = 1.1
"""How much more of a block's bytes than of its rows is fetched, as compressed rows differ in length."""


@dataclass(frozen=True, eq=False)
class TileGroup:
    """Rasters that share their pixels: one source for resampling."""

    grid: Grid
    """The rectangle around all of them."""
    tiles: tuple[tuple[RasterLayout, int, int], ...]
    """Each raster with the row and column of its first pixel in `grid`, first choice first."""


@dataclass(frozen=True, eq=False)
class Mosaic:
    """The rasters of one read."""

    groups: Sequence[TileGroup]
    dtype: np.dtype
    """Type that can represent the pixels of all of them."""
    band: int
    """Index of the band that is read of each."""
    nodata: float | None
    """The value without data in all of them; None if each file states its own."""
    default_nodata: float | None
    """The same of files that state none."""


BlockUse = tuple[TilePixels, Indices]
"""Where pixels of a block go, and for which windows of the stack."""
BlockUses = dict[RasterLayout, dict[int, list[BlockUse]]]
"""For every block of every raster, where its pixels go."""


@dataclass(frozen=True, eq=False)
class BlockRun:
    """Blocks of one raster that are next to each other in the file and are fetched with one request."""

    layout: RasterLayout
    start: int
    """Position in the file."""
    length: int
    """Bytes; the last block may be shortened to the expected size of its first rows."""
    blocks: Mapping[int, list[BlockUse]]
    tops: Mapping[int, int | None]
    """How many rows of each block are decoded alone; None for the full block."""

    def of_whole(self, block: int) -> "BlockRun":
        """Return the run of one of the blocks alone, not shortened."""
        start, length = int(self.layout.offsets[block]), int(self.layout.byte_counts[block])
        return BlockRun(self.layout, start, length, {block: self.blocks[block]}, self.tops)


@dataclass(frozen=True)
class Plan:
    """The blocks to fetch and the windows to fill for a list of reads."""

    stacks: Sequence[PendingStack]
    """All windows except those that are left out."""
    uses: BlockUses
    left_out: Sequence[StackRead]
    """Windows for which the engine can't reproduce GDAL's result."""


def plan_reads(reads: Sequence[StackRead], layouts: Mapping[str, RasterLayout]) -> Plan:
    """Find the blocks of every window.

    Args:
        reads: windows, all of whose assets are in `layouts`.
        layouts: of each asset, by address.
    """
    # Bands of one product have the same pixels and windows: they share the batches, and so their weights.
    known: dict[tuple[int, tuple[Grid, ...], Resampling], list[WindowBatch]] = {}
    stacks: list[PendingStack] = []
    uses: BlockUses = {}
    blocks: _KnownBlocks = {}
    left_out: list[StackRead] = []
    for read in reads:
        tiles = [layouts[href] for href in dict.fromkeys(read.hrefs)]
        mosaic = _mosaic(tiles, read.band - 1, read.nodata, read.default_nodata)
        sources = tuple(group.grid for group in mosaic.groups)
        shared = id(read.windows), sources, read.resampling
        if shared not in known:
            known[shared] = batch_windows(read.windows, sources, read.resampling)
        batches = known[shared]
        stacks += [
            _plan_stack(read.positions[batch.members], mosaic, batch, uses, blocks) for batch in batches
        ]
        if sum(len(batch.members) for batch in batches) < len(read.positions):
            planned = np.concatenate([np.zeros(0, np.intp), *(batch.members for batch in batches)])
            left_out.append(read.take(np.setdiff1d(np.arange(len(read.positions)), planned)))
    return Plan(stacks, uses, left_out)


def _mosaic(
    layouts: Sequence[RasterLayout], band: int, nodata: float | None, default_nodata: float | None
) -> Mosaic:
    dtype = np.result_type(*(layout.dtype for layout in layouts))
    return Mosaic(group_tiles(layouts), dtype, band, nodata, default_nodata)


def group_tiles(layouts: Sequence[RasterLayout]) -> list[TileGroup]:
    """Group rasters that share their pixels; groups are in the order of their first raster."""
    groups: list[list[tuple[RasterLayout, int, int]]] = []
    for layout in layouts:
        for group in groups:
            offset = pixel_offset(layout.grid, group[0][0].grid)
            if offset is not None:
                group.append((layout, *offset))
                break
        else:
            groups.append([(layout, 0, 0)])
    return [_bound_tiles(group) for group in groups]


def _bound_tiles(tiles: Sequence[tuple[RasterLayout, int, int]]) -> TileGroup:
    top = min(row for _, row, _ in tiles)
    left = min(column for _, _, column in tiles)
    bottom = max(row + layout.grid.height for layout, row, _ in tiles)
    right = max(column + layout.grid.width for layout, _, column in tiles)
    grid = tiles[0][0].grid
    if len(tiles) > 1:
        grid = grid.window(top, left, bottom - top, right - left)
    return TileGroup(grid, tuple((layout, row - top, column - left) for layout, row, column in tiles))


_KnownBlocks = dict[tuple[object, ...], BlocksOfBand]
"""The blocks of each sampling in rasters of each position, size and block size."""


def _plan_stack(
    positions: Indices, mosaic: Mosaic, batch: WindowBatch, uses: BlockUses, known: _KnownBlocks
) -> PendingStack:
    stack = PendingStack(positions, batch.shape, mosaic.dtype)
    for group, sampling in zip(mosaic.groups, batch.samplings, strict=True):
        if sampling is not None:
            tiles = [_tile_pixels(stack, sampling, mosaic, *tile) for tile in group.tiles]
            stack.patches.append(PendingPatch(sampling, tiles))
            for tile, (layout, row, column) in zip(tiles, group.tiles, strict=True):
                key = id(sampling), row, column, layout.grid.shape, layout.block_height, layout.block_width
                if key not in known:
                    known[key] = tile.blocks_of_band()
                _add_blocks(tile, known[key], uses)
    return stack


def _tile_pixels(
    stack: PendingStack, sampling: Sampling, mosaic: Mosaic, layout: RasterLayout, row: int, column: int
) -> TilePixels:
    """Return the part of a stack in a raster whose first pixel is at a row and column of its group."""
    of_file = mosaic.default_nodata if layout.nodata is None else layout.nodata
    nodata = of_file if mosaic.nodata is None else mosaic.nodata
    rows, columns = sampling.parts[:, 0] - row, sampling.parts[:, 1] - column
    return TilePixels(stack, layout, rows, columns, sampling.counts, mosaic.band, nodata)


def _add_blocks(tile: TilePixels, of_band: BlocksOfBand, uses: BlockUses) -> None:
    blocks = uses.setdefault(tile.layout, {})
    for block, members in tile.needed_blocks(of_band):
        blocks.setdefault(block, []).append((tile, members))
        tile.stack.blocks_missing += 1


def merge_blocks(layout: RasterLayout, blocks: Mapping[int, list[BlockUse]]) -> Iterable[BlockRun]:
    """Merge blocks that are neighbours in the file into reads of up to 1 MB.

    A block whose end no window needs is shortened, and so is the last of its read.

    Args:
        layout: offset and size in bytes of each block.
        blocks: what uses each block, by the block's index in the layout.
    """
    run: dict[int, list[BlockUse]] = {}
    tops = {block: rows_of_top(layout, block, uses) for block, uses in blocks.items()}
    start = end = 0
    for block in sorted(blocks, key=lambda block: (layout.offsets[block], block)):
        offset, size = int(layout.offsets[block]), int(layout.byte_counts[block])
        apart = offset - end > _LARGEST_GAP or max(end, offset + size) - start > _LARGEST_RANGE
        if run and apart:
            yield BlockRun(layout, start, end - start, run, tops)
            run = {}
        if not run:
            start = end = offset
        run[block] = blocks[block]
        needed = _bytes_needed(layout, block, tops[block])
        end = max(end, offset + needed)
        if needed < size:
            yield BlockRun(layout, start, end - start, run, tops)
            run = {}
    if run:
        yield BlockRun(layout, start, end - start, run, tops)


def rows_of_top(layout: RasterLayout, block: int, uses: Sequence[BlockUse]) -> int | None:
    """Return how many rows of a block are decoded alone; None for the full block.

    Args:
        layout: of the raster; its `decode_top` is None if blocks can't be decoded in part.
        block: index in the layout.
        uses: the tiles and their windows that need the block.
    """
    if layout.decode_top is None:
        return None
    rows = max(tile.rows_needed(block, members) for tile, members in uses)
    return rows if rows <= _LARGEST_TOP * layout.block_height else None


def _bytes_needed(layout: RasterLayout, block: int, rows: int | None) -> int:
    """Return how many of a block's bytes, from its first, are expected to contain what its windows need."""
    whole = int(layout.byte_counts[block])
    if rows is None:
        return whole
    needed = int(_ROOM * whole * rows / layout.block_height)
    return needed if whole - needed >= _SMALLEST_SAVING else whole
