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

from factory_pipeline.cog.grid import WHOLE_PIXEL, Grid
from factory_pipeline.cog.join_tiles import Part, is_coarser, join_parts, part_around
from factory_pipeline.cog.reader import ReadWindow, Resampling
from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.open_raster import open_in_memory

GDAL_RESAMPLING = {
    Resampling.NEAREST: GdalResampling.nearest,
    Resampling.BILINEAR: GdalResampling.bilinear,
}
TOLERANCE = 1e-9
"""Pixels by which GDAL's transformer may be off; below it every pixel is projected by itself."""
MISSING = float(np.finfo(np.float64).min)
"""Marks pixels without data while every dtype is processed as float64: not each has an unused value."""

_PROJECTED_AT_A_TIME = 32
"""Windows whose edges are projected by one call."""


@dataclass(frozen=True)
class WarpRaster:
    """The grid of one raster file, and how it marks pixels without data."""

    crs: CRS
    grid: Grid
    """`epsg` is 0 if the CRS has no EPSG code."""
    nodata: float | None

    @property
    def turn(self) -> float | None:
        """Columns around the earth if columns are degrees of longitude, else None."""
        return self.grid.columns_around_earth if self.crs.is_geographic else None

    def reaches(self, windows: Sequence[Grid]) -> NDArray[np.float64]:
        """Return the extents of the pixel centres of windows, in pixels of this raster.

        Returns:
            (windows, 4): smallest and largest column, smallest and largest row. Infinite for a window
            that can't be projected to this raster's CRS.
        """
        reaches = np.empty((len(windows), 4))
        for epsg in {window.epsg for window in windows}:
            members = [index for index, window in enumerate(windows) if window.epsg == epsg]
            # The positions of all edges at once would be more than the pixels that are read at a time.
            for first in range(0, len(members), _PROJECTED_AT_A_TIME):
                some = members[first : first + _PROJECTED_AT_A_TIME]
                edges = [edge_centres(windows[index]) for index in some]
                columns, rows = self._pixels(epsg, *np.concatenate(edges, axis=1))
                starts = np.cumsum([0, *(edge.shape[1] for edge in edges[:-1])])
                reaches[some] = np.stack(
                    [
                        np.minimum.reduceat(columns, starts),
                        np.maximum.reduceat(columns, starts),
                        np.minimum.reduceat(rows, starts),
                        np.maximum.reduceat(rows, starts),
                    ],
                    axis=1,
                )
        return reaches

    def _pixels(
        self, epsg: int, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return column and row of points given in another CRS."""
        if epsg != self.grid.epsg:
            x, y = crs_transformer(epsg, self.crs.to_wkt()).transform(x, y)
        columns = (x - self.grid.left) / self.grid.x_size
        rows = (self.grid.top - y) / self.grid.y_size
        if turn := self.turn:
            # A window across the 180th meridian is on both sides of a raster's columns.
            columns = columns - turn * np.round((columns - self.grid.width / 2) / turn)
        return columns, rows

    def offset_of(self, other: Grid) -> tuple[int, int] | None:
        """Return row and column of another grid's first pixel in this raster.

        None if the pixels don't coincide.
        """
        if other.epsg != self.grid.epsg or not same_pixel_size(self.grid, other):
            return None
        column = (other.left - self.grid.left) / self.grid.x_size
        row = (self.grid.top - other.top) / self.grid.y_size
        if turn := self.turn:
            # The other may be a turn away from the columns of this raster: its middle decides.
            column -= turn * round((column + (other.width - self.grid.width) / 2) / turn)
        if max(abs(column - round(column)), abs(row - round(row))) > WHOLE_PIXEL:
            return None
        return round(row), round(column)

    def source_part(self, window: Grid, reach: NDArray[np.float64]) -> tuple[int, int, int, int] | None:
        """Return the pixels of the source that a window needs.

        Args:
            window: the target grid.
            reach: of this window, from `reaches`.

        Returns:
            First row, first column, rows, columns; None if the window needs no pixel.
        """
        if not np.isfinite(reach).all():
            return None
        first_column, last_column, first_row, last_row = reach.tolist()
        margin_columns = margin_rows = 0
        if self.offset_of(window) is None:
            # The bilinear kernel spans two pixels; if the window is coarser, GDAL's kernel grows with it.
            margin_columns = 2 + math.ceil((last_column - first_column) / window.width)
            margin_rows = 2 + math.ceil((last_row - first_row) / window.height)
        left = max(math.floor(first_column) - margin_columns, 0)
        right = min(math.floor(last_column) + 1 + margin_columns, self.grid.width)
        top = max(math.floor(first_row) - margin_rows, 0)
        bottom = min(math.floor(last_row) + 1 + margin_rows, self.grid.height)
        if right <= left or bottom <= top:
            return None
        return top, left, bottom - top, right - left


@dataclass(frozen=True)
class Cut:
    """The part of one raster that one window needs, in the raster's own pixels."""

    raster: WarpRaster
    row: int
    column: int
    """Row and column of the first pixel in the raster."""
    values: NDArray[np.generic]
    """(rows, columns); empty if the raster and the window don't intersect."""
    mask: NDArray[np.bool_] | None = None
    """(rows, columns) of the raster's mask or alpha band; None if it has neither."""

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Return (rows, columns); False where the raster has no data or no finite number."""
        valid = np.ones(self.values.shape, bool) if self.mask is None else self.mask.copy()
        nodata = self.raster.nodata
        if nodata is not None and not math.isnan(nodata):
            valid &= self.values != nodata
        if self.values.dtype.kind == "f":
            valid &= np.isfinite(self.values)
        return valid


def edge_centres(grid: Grid) -> NDArray[np.float64]:
    """Return x and y of the centres of the outermost pixels, (2, points), which enclose all others."""
    columns = np.arange(grid.width) + 0.5
    rows = np.arange(1, grid.height - 1) + 0.5
    all_columns = np.concatenate(
        [columns, columns, np.full(rows.size, 0.5), np.full(rows.size, grid.width - 0.5)]
    )
    all_rows = np.concatenate(
        [np.full(columns.size, 0.5), np.full(columns.size, grid.height - 0.5), rows, rows]
    )
    return np.stack([grid.left + all_columns * grid.x_size, grid.top - all_rows * grid.y_size])


def same_pixel_size(one: Grid, other: Grid) -> bool:
    """Return whether the pixels of both grids have the same width and height.

    Args:
        one: compared with `other`; the CRS may differ.
        other: the second grid.
    """
    return math.isclose(one.x_size, other.x_size, rel_tol=1e-9) and math.isclose(
        one.y_size, other.y_size, rel_tol=1e-9
    )


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
