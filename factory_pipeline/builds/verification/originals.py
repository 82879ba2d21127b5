"""Windows of original rasters, read and resampled by GDAL alone.

This is the oracle of the extraction engine, so that it shares no code with it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from factory_pipeline.open_raster import open_in_memory, open_raster
from factory_pipeline.redaction import gdal_logs

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
PixelGrid = tuple[int, Affine]
"""EPSG code, and the transform from (column, row)."""

_MISSING = -99_999.0
"""Marks altitudes that no tile has: far below any land."""
_MARGIN = 8
"""Pixels of a tile around a window that are read with it."""
_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": 4,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_TIMEOUT": 60,
}


class OriginalUnreadableError(Exception):
    """An original raster can't be read; the text is a sentence without its signed address."""


@dataclass(frozen=True)
class Target:
    """The pixel grid of one sample's window."""

    epsg: int
    transform: Affine
    """From (column, row) to (x, y) in metres."""
    size: int
    """Pixels a side."""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        left, top = self.transform @ (0, 0)
        right, bottom = self.transform @ (self.size, self.size)
        return left, bottom, right, top

    def padded(self) -> "Target":
        """Return the same grid with one more pixel on each side."""
        return Target(self.epsg, self.transform @ Affine.translation(-1, -1), self.size + 2)


class Originals:
    """Opens the original rasters; `sign` returns the readable address of a stored one."""

    def __init__(self, sign: Callable[[str], str]) -> None:
        self._sign = sign
        self._grids: dict[str, PixelGrid] = {}

    def read_band(self, href: str, target: Target, resampling: Resampling) -> NDArray[np.generic]:
        """Read one raster on a window: copied where the pixels are the same, else resampled by GDAL.

        Args:
            href: of the raster.
            target: the window.
            resampling: where the grids differ.

        Returns:
            (size, size), in the raster's dtype.

        Raises:
            OriginalUnreadableError: it can't be read.
        """
        with self._open(href) as dataset:
            offset = _pixel_offset(dataset, target)
            if offset is not None:
                row, column = offset
                return np.asarray(dataset.read(1, window=Window(column, row, target.size, target.size)))
            with _warp(dataset, target, resampling) as warped:
                return np.asarray(warped.read(1))

    def pixel_grid(self, href: str) -> PixelGrid:
        """Return where the pixels of a raster are; it is opened once.

        Raises:
            OriginalUnreadableError: it can't be read.
        """
        if href not in self._grids:
            with self._open(href) as dataset:
                self._grids[href] = dataset.crs.to_epsg() or 0, dataset.transform
        return self._grids[href]

    def read_classes(self, hrefs: Sequence[str], target: Target) -> NDArray[np.uint8]:
        """Read tiles of classes on a window, by nearest; the first tile with data at a pixel counts.

        Args:
            hrefs: in the order in which tiles count.
            target: the window.

        Returns:
            (size, size); 0 where no tile has data.

        Raises:
            OriginalUnreadableError: a tile can't be read.
        """
        found = np.zeros((target.size, target.size), np.uint8)
        for href in hrefs:
            values = self.read_band(href, target, Resampling.nearest).astype(np.uint8)
            found = np.where(found == 0, values, found)
        return found

    def read_altitude(self, hrefs: Sequence[str], target: Target) -> tuple[Floats, Mask]:
        """Read tiles of a digital elevation model on a window, bilinearly.

        Tiles of one pixel grid are put together before they are resampled. Where tiles of several pixel
        grids meet, what stands at the seam depends on how they are joined: those pixels are left out.

        Args:
            hrefs: of tiles.
            target: the window.

        Returns:
            (size, size) metres, and True where they can be compared.

        Raises:
            OriginalUnreadableError: a tile can't be read.
        """
        with ExitStack() as stack:
            tiles = [stack.enter_context(self._open(href)) for href in hrefs]
            groups: dict[tuple[float, float], list[rasterio.DatasetReader]] = {}
            for tile in tiles:
                groups.setdefault((round(tile.res[0], 9), round(tile.res[1], 9)), []).append(tile)
            altitude = np.full((target.size, target.size), np.nan)
            try:
                for group in groups.values():
                    values = _altitude_of_group(group, target, apart=len(groups) > 1)
                    altitude = np.where(np.isnan(altitude), values, altitude)
            except RasterioError as error:
                raise OriginalUnreadableError(f"{' or '.join(hrefs)} can't be read.") from error
        return altitude, ~np.isnan(altitude)

    @contextmanager
    def _open(self, href: str) -> Iterator[rasterio.DatasetReader]:
        try:
            with gdal_logs.during(), rasterio.Env(**_OPTIONS), open_raster(self._sign(href)) as dataset:
                yield dataset
        except RasterioError as error:
            # GDAL's own text may hold the signed address.
            raise OriginalUnreadableError(f"{href} can't be read.") from error


def _pixel_offset(dataset: rasterio.DatasetReader, target: Target) -> tuple[int, int] | None:
    """Return row and column of the window's first pixel in a raster of the same pixels, else None."""
    if dataset.crs.to_epsg() != target.epsg or not np.allclose(dataset.res, target.transform.a, rtol=1e-9):
        return None
    column, row = ~dataset.transform @ (target.transform.c, target.transform.f)
    if max(abs(column - round(column)), abs(row - round(row))) > 1e-3:
        return None
    is_inside = (
        0 <= round(column) <= dataset.width - target.size and 0 <= round(row) <= dataset.height - target.size
    )
    return (round(row), round(column)) if is_inside else None


def _warp(dataset: rasterio.DatasetReader, target: Target, resampling: Resampling) -> WarpedVRT:
    """Return a raster on the window's grid: positions are exact, and the kernel is not widened."""
    return WarpedVRT(
        dataset,
        crs=f"EPSG:{target.epsg}",
        transform=target.transform,
        width=target.size,
        height=target.size,
        resampling=resampling,
        tolerance=1e-9,
        XSCALE=1,
        YSCALE=1,
    )


def _altitude_of_group(tiles: Sequence[rasterio.DatasetReader], target: Target, *, apart: bool) -> Floats:
    """Return altitude from tiles of one pixel grid, NaN where they have none.

    Args:
        tiles: open, at least one.
        target: the window.
        apart: leave out what is within two pixels of the end of the tiles.
    """
    first = tiles[0]
    west, south, east, north = transform_bounds(
        f"EPSG:{target.epsg}", first.crs, *target.bounds, densify_pts=21
    )
    left, top = ~first.transform @ (west, north)
    right, bottom = ~first.transform @ (east, south)
    column, row = int(np.floor(left)) - _MARGIN, int(np.floor(top)) - _MARGIN
    columns, rows = int(np.ceil(right)) + _MARGIN - column, int(np.ceil(bottom)) + _MARGIN - row
    joined = np.full((rows, columns), _MISSING)
    for tile in reversed(tiles):
        # Where this tile's first pixel is in the grid of the first one.
        shift = ~first.transform @ (tile.transform.c, tile.transform.f)
        part = Window(column - round(shift[0]), row - round(shift[1]), columns, rows)
        values = tile.read(1, window=part, boundless=True, fill_value=_MISSING).astype(np.float64)
        own_rows = np.arange(rows) + part.row_off
        own_columns = np.arange(columns) + part.col_off
        holds = ((own_rows >= 0) & (own_rows < tile.height))[:, None] & (
            (own_columns >= 0) & (own_columns < tile.width)
        )
        if tile.nodata is not None:
            holds &= values != tile.nodata
        holds &= np.isfinite(values)
        joined[holds] = values[holds]
    transform = first.transform @ Affine.translation(column, row)
    altitude = _warp_array(joined, transform, first.crs, target, Resampling.bilinear)
    if apart:
        whole = joined != _MISSING
        for axis in (0, 1):
            for step in (-2, -1, 1, 2):
                whole &= np.roll(joined, step, axis) != _MISSING
        inside = _warp_array(whole.astype(np.float64), transform, first.crs, target, Resampling.nearest)
        altitude[inside != 1] = np.nan
    return altitude


def _warp_array(
    values: Floats, transform: Affine, crs: rasterio.CRS, target: Target, resampling: Resampling
) -> Floats:
    """Resample an array in memory; NaN where it contains nothing."""
    height, width = values.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": "float64"}
    with MemoryFile() as memory:
        with open_in_memory(memory, **profile, crs=crs, transform=transform, nodata=_MISSING) as made:
            made.write(values, 1)
        with open_in_memory(memory) as source, _warp(source, target, resampling) as warped:
            found = np.asarray(warped.read(1), np.float64)
    return np.where(found == _MISSING, np.nan, found)
