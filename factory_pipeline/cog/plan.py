"""From windows to blocks: which pixels of which raster a window needs, and in which blocks they lie."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.alignment import align, pixel_offset
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.header import RasterLayout
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, Resampling, WindowRead
from factory_pipeline.cog.resample import Sampling, Span

_LARGEST_RANGE = 2**20
_LARGEST_GAP = 1024
"""Bytes between two blocks that are fetched along; a COG keeps 8 between neighbours."""


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
    """Type that holds the pixels of all of them."""


@dataclass(eq=False)
class TilePixels:
    """What one raster holds of one window; filled block by block."""

    window: "PendingWindow"
    layout: RasterLayout
    row: int
    """Of the first pixel, in the raster."""
    column: int
    patch_row: int
    """Of the first pixel, in the patch."""
    patch_column: int
    values: NDArray[np.generic]

    def take(self, block: int, pixels: NDArray[np.generic]) -> None:
        """Copy what this window needs from a decoded block."""
        layout = self.layout
        block_row, block_column = divmod(block, layout.blocks_across)
        top = block_row * layout.block_height - self.row
        left = block_column * layout.block_width - self.column
        height, width = self.values.shape
        first_row, last_row = max(top, 0), min(top + layout.block_height, height)
        first_column, last_column = max(left, 0), min(left + layout.block_width, width)
        self.values[first_row:last_row, first_column:last_column] = pixels[
            first_row - top : last_row - top, first_column - left : last_column - left
        ]

    @property
    def valid(self) -> NDArray[np.bool_] | None:
        """Where the raster holds data; None for everywhere."""
        nodata = self.layout.nodata
        if nodata is None:
            return None
        valid: NDArray[np.bool_] = ~np.isnan(self.values) if np.isnan(nodata) else self.values != nodata
        return None if valid.all() else valid


@dataclass(eq=False)
class PendingPatch:
    """The part of one source that one window needs."""

    sampling: Sampling
    shape: tuple[int, int]
    """Rows and columns of the part."""
    tiles: list[TilePixels]


@dataclass(eq=False)
class PendingWindow:
    """A window on its way."""

    read: WindowRead
    dtype: np.dtype
    patches: list[PendingPatch] = field(default_factory=list)
    blocks_missing: int = 0
    answer: ReadWindow | ReadFailure | None = None


BlockUses = dict[RasterLayout, dict[int, list[TilePixels]]]
"""For every block of every raster, where its pixels go."""


@dataclass(frozen=True, eq=False)
class BlockRun:
    """Blocks of one raster that lie next to each other in the file and are fetched with one request."""

    layout: RasterLayout
    start: int
    """Position in the file."""
    length: int
    """Bytes."""
    blocks: Mapping[int, list[TilePixels]]


@dataclass(frozen=True)
class Plan:
    """What has to be done for a list of reads."""

    windows: Sequence[PendingWindow | None]
    """In the order of the reads; None where the engine can't give what GDAL gives."""
    uses: BlockUses


def plan_reads(reads: Sequence[WindowRead], layouts: Mapping[str, RasterLayout]) -> Plan:
    """Find the blocks of every window.

    Args:
        reads: windows, all of whose assets are in `layouts`.
        layouts: of each asset, by address.
    """
    mosaics: dict[tuple[str, ...], Mosaic] = {}
    for read in reads:
        if read.hrefs not in mosaics:
            tiles = [layouts[href] for href in dict.fromkeys(read.hrefs)]
            dtype = np.result_type(*(tile.dtype for tile in tiles))
            mosaics[read.hrefs] = Mosaic(group_tiles(tiles), dtype)
    samplings = _sampling_of_each(reads, mosaics)
    uses: BlockUses = {}
    windows = []
    for read in reads:
        mosaic = mosaics[read.hrefs]
        sources = [(group, samplings[read.grid, group.grid, read.resampling]) for group in mosaic.groups]
        windows.append(_plan_window(PendingWindow(read, mosaic.dtype), sources, uses))
    return Plan(windows, uses)


def _sampling_of_each(
    reads: Sequence[WindowRead], mosaics: Mapping[tuple[str, ...], Mosaic]
) -> dict[tuple[Grid, Grid, Resampling], Sampling]:
    """By window, source and resampling: bands of one product have the same grid and share their weights."""
    wanted = dict.fromkeys(
        (read.grid, group.grid, read.resampling) for read in reads for group in mosaics[read.hrefs].groups
    )
    alignments = align((window, source) for window, source, _ in wanted)
    return {
        (window, source, resampling): Sampling(
            alignments[window, source], source.shape, window.shape, resampling
        )
        for window, source, resampling in wanted
    }


def group_tiles(layouts: Sequence[RasterLayout]) -> list[TileGroup]:
    """Put rasters that share their pixels together, in the order of each group's first."""
    groups: list[list[tuple[RasterLayout, int, int]]] = []
    for layout in layouts:
        for group in groups:
            offset = pixel_offset(layout.grid, group[0][0].grid)
            if offset is not None:
                group.append((layout, *offset))
                break
        else:
            groups.append([(layout, 0, 0)])
    return [_bounded(group) for group in groups]


def _bounded(tiles: Sequence[tuple[RasterLayout, int, int]]) -> TileGroup:
    top = min(row for _, row, _ in tiles)
    left = min(column for _, _, column in tiles)
    bottom = max(row + layout.grid.height for layout, row, _ in tiles)
    right = max(column + layout.grid.width for layout, _, column in tiles)
    grid = tiles[0][0].grid
    if len(tiles) > 1:
        grid = grid.window(top, left, bottom - top, right - left)
    return TileGroup(grid, tuple((layout, row - top, column - left) for layout, row, column in tiles))


def _plan_window(
    window: PendingWindow, sources: Sequence[tuple[TileGroup, Sampling]], uses: BlockUses
) -> PendingWindow | None:
    if any(sampling.coarsens for _, sampling in sources):
        return None
    for group, sampling in sources:
        if sampling.part is None:
            continue
        (top, bottom), (left, right) = sampling.part
        tiles = [
            tile
            for layout, row, column in group.tiles
            if (tile := _tile_pixels(window, layout, (row, column), (top, bottom), (left, right)))
        ]
        for tile in tiles:
            _add_blocks(tile, uses)
        if tiles:
            window.patches.append(PendingPatch(sampling, (bottom - top, right - left), tiles))
    return window


def _tile_pixels(
    window: PendingWindow, layout: RasterLayout, origin: tuple[int, int], rows: Span, columns: Span
) -> TilePixels | None:
    """What a raster, whose first pixel is at `origin` of its group, holds of these rows and columns."""
    top, bottom = max(rows[0], origin[0]), min(rows[1], origin[0] + layout.grid.height)
    left, right = max(columns[0], origin[1]), min(columns[1], origin[1] + layout.grid.width)
    if top >= bottom or left >= right:
        return None
    values = np.full((bottom - top, right - left), layout.fill, layout.dtype)
    row, column = top - origin[0], left - origin[1]
    return TilePixels(window, layout, row, column, top - rows[0], left - columns[0], values)


def _add_blocks(tile: TilePixels, uses: BlockUses) -> None:
    layout = tile.layout
    height, width = tile.values.shape
    block_rows = range(tile.row // layout.block_height, (tile.row + height - 1) // layout.block_height + 1)
    block_columns = range(
        tile.column // layout.block_width, (tile.column + width - 1) // layout.block_width + 1
    )
    blocks = uses.setdefault(layout, {})
    for block_row in block_rows:
        for block_column in block_columns:
            block = block_row * layout.blocks_across + block_column
            if layout.byte_counts[block]:
                blocks.setdefault(block, []).append(tile)
                tile.window.blocks_missing += 1


def merge_blocks(layout: RasterLayout, blocks: Mapping[int, list[TilePixels]]) -> Iterable[BlockRun]:
    """Put blocks that are neighbours in the file together, up to 1 MB."""
    run: dict[int, list[TilePixels]] = {}
    start = end = 0
    for block in sorted(blocks, key=lambda block: (layout.offsets[block], block)):
        offset, size = int(layout.offsets[block]), int(layout.byte_counts[block])
        apart = offset - end > _LARGEST_GAP or max(end, offset + size) - start > _LARGEST_RANGE
        if run and apart:
            yield BlockRun(layout, start, end - start, run)
            run = {}
        if not run:
            start = end = offset
        run[block] = blocks[block]
        end = max(end, offset + size)
    if run:
        yield BlockRun(layout, start, end - start, run)
