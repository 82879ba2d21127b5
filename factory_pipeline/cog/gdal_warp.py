"""From pixels cut out of rasters to a window: mosaic rasters that share a pixel grid, then warp with GDAL."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling as GdalResampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.join_tiles import Part, is_coarser, join_parts, part_around
from factory_pipeline.cog.reader import ReadWindow, Resampling
from factory_pipeline.cog.warp_raster import Cut, WarpRaster
from factory_pipeline.open_raster import open_in_memory

GDAL_RESAMPLING = {
    Resampling.NEAREST: GdalResampling.nearest,
    Resampling.BILINEAR: GdalResampling.bilinear,
}
TOLERANCE = 1e-9
"""Pixels by which GDAL's transformer may be off; below it every pixel is projected by itself."""
MISSING = float(np.finfo(np.float64).min)
"""Marks pixels without data while every dtype is processed as float64: not each has an unused value."""


@lru_cache(maxsize=256)
def crs_of(epsg: int) -> CRS:
    """Return the CRS of an EPSG code."""
    return CRS.from_epsg(epsg)


def window_of(cuts: Sequence[Cut], grid: Grid, resampling: Resampling) -> ReadWindow:
    """Return the window from the parts of each raster; the first raster with data at a pixel wins.

    Rasters on one pixel grid are mosaicked before the warp, so that a bilinear kernel reaches over the edge
    between two tiles; the same holds if the grids differ (see `join_tiles`). Others are warped one by one.

    Args:
        cuts: parts of rasters around the window, the preferred raster first.
        grid: of the window.
        resampling: nearest or bilinear.

    Returns:
        Values in the common dtype of the cuts, 0 where none has data.
    """
    mosaics = [mosaic(tiles) for tiles in by_pixel_grid([cut for cut in cuts if cut.values.size])]
    if resampling is Resampling.BILINEAR and len(mosaics) > 1 and all(map(_may_join(grid), mosaics)):
        parts = [part for source in mosaics if (part := _part_of(source, grid)) is not None]
        return join_parts(parts, grid)
    dtype = np.result_type(*(cut.values.dtype for cut in cuts))
    values: NDArray[Any] = np.zeros(grid.shape, dtype)
    valid = np.zeros(grid.shape, bool)
    for source in mosaics:
        warped = warp(source, grid, resampling)
        fresh = warped.valid & ~valid
        values[fresh] = warped.values[fresh]
        valid |= fresh
    return ReadWindow(values, valid)


def _may_join(window: Grid) -> Callable[["WarpMosaic"], bool]:
    """Return the test whether a mosaic may be joined with others in a window.

    If not, GDAL warps it separately.
    """
    return lambda source: source.cut.raster.grid.epsg != 0 and not is_coarser(window, source.grid)


def _part_of(source: "WarpMosaic", window: Grid) -> Part | None:
    """Return the part of a mosaic around a window; None if they don't intersect."""
    grid = part_around(window, source.grid)
    offset = source.cut.raster.offset_of(grid) if grid is not None else None
    if grid is None or offset is None:
        return None
    return Part(grid, copy(source, grid, offset[0] - source.cut.row, offset[1] - source.cut.column))


@dataclass(frozen=True)
class WarpTile:
    """A cut positioned on the pixel grid of its group."""

    cut: Cut
    row: int
    column: int
    """Row and column of the first pixel, in the pixels of the group's first raster.

    It may be outside of that raster.
    """

    @property
    def end(self) -> tuple[int, int]:
        """Row and column after the last pixel."""
        rows, columns = self.cut.values.shape
        return self.row + rows, self.column + columns


def by_pixel_grid(cuts: Sequence[Cut]) -> list[list[WarpTile]]:
    """Group the cuts of rasters that share their pixels; groups are in the order of their first cut."""
    groups: list[list[WarpTile]] = []
    for cut in cuts:
        for group in groups:
            offset = group[0].cut.raster.offset_of(cut.raster.grid)
            if offset is not None:
                group.append(WarpTile(cut, offset[0] + cut.row, offset[1] + cut.column))
                break
        else:
            groups.append([WarpTile(cut, cut.row, cut.column)])
    return groups


@dataclass(frozen=True)
class WarpMosaic:
    """The mosaic of tiles that share one pixel grid."""

    cut: Cut
    """Row and column of the first pixel, in the pixels of the first tile's raster."""
    valid: NDArray[np.bool_]

    @property
    def grid(self) -> Grid:
        """The grid of its pixels."""
        return self.cut.raster.grid.window(self.cut.row, self.cut.column, *self.cut.values.shape)


def mosaic(tiles: Sequence[WarpTile]) -> WarpMosaic:
    """Mosaic tiles that share one pixel grid; the first with data at a pixel wins."""
    first = tiles[0].cut
    if len(tiles) == 1:
        return WarpMosaic(first, first.valid)
    top = min(tile.row for tile in tiles)
    left = min(tile.column for tile in tiles)
    shape = max(tile.end[0] for tile in tiles) - top, max(tile.end[1] for tile in tiles) - left
    values: NDArray[Any] = np.zeros(shape, np.result_type(*(tile.cut.values.dtype for tile in tiles)))
    valid = np.zeros(shape, bool)
    for tile in tiles:
        inside = np.s_[tile.row - top : tile.end[0] - top, tile.column - left : tile.end[1] - left]
        fresh = tile.cut.valid & ~valid[inside]
        values[inside][fresh] = tile.cut.values[fresh]
        valid[inside] |= fresh
    return WarpMosaic(Cut(first.raster, top, left, values), valid)


def warp(source: WarpMosaic, grid: Grid, resampling: Resampling) -> ReadWindow:
    """Resample as GDAL does with an exact transformer; copy the pixels if they coincide.

    Args:
        source: rasters of one pixel grid around the window.
        grid: of the window.
        resampling: nearest or bilinear.

    Returns:
        Values in the dtype of the source, rounded half up if that is an integer; 0 where there is no data.
    """
    offset = source.cut.raster.offset_of(grid)
    if offset is not None:
        return copy(source, grid, offset[0] - source.cut.row, offset[1] - source.cut.column)
    marked = source.cut.values.astype(np.float64)
    marked[~source.valid] = MISSING
    warped = np.full(grid.shape, MISSING)
    for source_grid in grids_of_cut(source.cut):
        fresh = gdal_warp(marked, source.cut.raster, source_grid, grid, resampling)
        warped = np.where(warped == MISSING, fresh, warped)
    valid = warped != MISSING
    filled = np.where(valid, warped, 0)
    if np.issubdtype(source.cut.values.dtype, np.integer):
        filled = np.floor(filled + 0.5)
    return ReadWindow(filled.astype(source.cut.values.dtype), valid)


def grids_of_cut(cut: Cut) -> list[Grid]:
    """Return the grids of a cut's pixels.

    Beyond the 180th meridian this includes the grid with continued longitudes, as PROJ may return them.
    """
    source_grid = cut.raster.grid.window(cut.row, cut.column, *cut.values.shape)
    left, _, right, _ = source_grid.bounds
    if not cut.raster.crs.is_geographic or (left >= -180 and right <= 180):
        return [source_grid]
    return [source_grid, replace(source_grid, left=left - math.copysign(360, left + right))]


def copy(source: WarpMosaic, grid: Grid, row: int, column: int) -> ReadWindow:
    """Return the pixels of the window, whose first is [row, column] of the mosaic.

    Args:
        source: rasters on the window's pixel grid.
        grid: of the window.
        row: of the window's first pixel in the mosaic; may be negative.
        column: of the window's first pixel in the mosaic; may be negative.
    """
    rows, columns = source.valid.shape
    values: NDArray[Any] = np.zeros(grid.shape, source.cut.values.dtype)
    valid = np.zeros(grid.shape, bool)
    top, left = max(row, 0), max(column, 0)
    part = np.s_[top : min(row + grid.height, rows), left : min(column + grid.width, columns)]
    height, width = source.valid[part].shape
    inside = np.s_[top - row : top - row + height, left - column : left - column + width]
    valid[inside] = source.valid[part]
    values[inside] = np.where(source.valid[part], source.cut.values[part], 0)
    return ReadWindow(values, valid)


def gdal_warp(
    pixels: NDArray[np.float64], raster: WarpRaster, source_grid: Grid, grid: Grid, resampling: Resampling
) -> NDArray[np.float64]:
    """Warp pixels of a raster onto a grid; MISSING where there is no data.

    `rasterio.warp.reproject` is shorter, but ignores the tolerance (rasterio 1.4): between two CRS it is off
    by up to 6e-5 pixels, and one nearest pixel in 100,000 is wrong. A WarpedVRT is exact. It derives the
    width of the bilinear kernel from the pixels that it happens to read, too wide for narrow windows, so the
    width is passed explicitly.

    Args:
        pixels: (rows, columns) float64.
        raster: the raster that the pixels are from.
        source_grid: the grid of the pixels.
        grid: the grid of the result.
        resampling: nearest or bilinear.

    Returns:
        (rows, columns) of `grid`, float64.
    """
    columns, rows = scale(raster, grid)
    profile = {"driver": "GTiff", "dtype": "float64", "count": 1, "nodata": MISSING}
    with MemoryFile() as memory:
        with open_in_memory(
            memory,
            **profile,
            crs=raster.crs,
            transform=source_grid.transform,
            height=source_grid.height,
            width=source_grid.width,
        ) as made:
            made.write(pixels, 1)
        with (
            open_in_memory(memory) as source,
            WarpedVRT(
                source,
                crs=crs_of(grid.epsg),
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                resampling=GDAL_RESAMPLING[resampling],
                tolerance=TOLERANCE,
                XSCALE=columns,
                YSCALE=rows,
            ) as warped,
        ):
            values: NDArray[np.float64] = warped.read(1)
            return values


def scale(raster: WarpRaster, grid: Grid) -> tuple[float, float]:
    """Return a grid's pixels per pixel of a raster, across and down, at most 1: GDAL's narrowest kernel.

    Args:
        raster: that is resampled.
        grid: of the window; measured in its middle.
    """
    around_middle = grid.window(grid.height // 2 - 1, grid.width // 2 - 1, 3, 3)
    ((first_column, last_column, first_row, last_row),) = raster.reaches([around_middle]).tolist()
    return min(2 / (last_column - first_column), 1.0), min(2 / (last_row - first_row), 1.0)
