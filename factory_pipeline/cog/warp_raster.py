"""Rasters that GDAL reads: which of their pixels a window needs, and the pixels that were cut out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from factory_pipeline.cog.grid import WHOLE_PIXEL, Grid
from factory_pipeline.crs_transformer import crs_transformer

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
        """(rows, columns); False where the raster has no data or no finite number."""
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
