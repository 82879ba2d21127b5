"""What a window must hold, by GDAL alone: rasters are read, mosaicked in memory and warped by rasterio."""

import warnings
from collections.abc import Sequence

import numpy as np
import rasterio
from rasterio.enums import Resampling as GdalResampling
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject, transform, transform_bounds
from rasterio.windows import Window

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, Resampling, WindowRead

MISSING = -(2.0**40)
"""Marks pixels without data while float64 stands in for every dtype; far outside of all of them."""


def expected(read: WindowRead) -> ReadWindow:
    """The window, computed from mosaics in memory."""
    with rasterio.open(read.hrefs[0]) as dataset:
        dtype = np.dtype(dataset.dtypes[read.band - 1])
    values, valid = np.zeros(read.grid.shape), np.zeros(read.grid.shape, bool)
    for group in _by_pixel_grid(read.hrefs):
        pixels = _warp(*_mosaic(group, read), read.grid, read.resampling)
        fresh = (pixels != MISSING) & ~valid
        values[fresh] = pixels[fresh]
        valid |= fresh
    return ReadWindow(_rounded(values, dtype), valid)


def warped(
    values: np.ndarray, source: Grid, target: Grid, resampling: Resampling, missing: np.ndarray | None = None
) -> ReadWindow:
    """The window from an array; `missing` is True for its pixels without data."""
    pixels = values.astype(np.float64)
    if missing is not None:
        pixels[missing] = MISSING
    crs = rasterio.CRS.from_epsg(source.epsg)
    made = _warp(pixels, source.transform, crs, target, resampling)
    valid = made != MISSING
    return ReadWindow(_rounded(np.where(valid, made, 0), values.dtype), valid)


def _rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return (values if dtype.kind == "f" else np.floor(values + 0.5)).astype(dtype)


def _warp(
    pixels: np.ndarray, transform: Affine, crs: rasterio.CRS, grid: Grid, resampling: Resampling
) -> np.ndarray:
    """GDAL's warp with an exact transformer.

    Within one CRS `reproject` is exact. Between two it approximates to 1e-4 pixels and takes no notice of
    its tolerance; a WarpedVRT does, but must be told the scale, or it widens the kernel of narrow windows.
    """
    if crs.to_epsg() != grid.epsg:
        return _warp_between(pixels, transform, crs, grid, resampling)
    warped = np.full(grid.shape, MISSING)
    reproject(
        pixels,
        warped,
        src_transform=transform,
        src_crs=crs,
        src_nodata=MISSING,
        dst_transform=grid.transform,
        dst_crs=crs,
        dst_nodata=MISSING,
        resampling=GdalResampling[resampling.value],
    )
    return warped


def _warp_between(
    pixels: np.ndarray, transform: Affine, crs: rasterio.CRS, grid: Grid, resampling: Resampling
) -> np.ndarray:
    """For windows whose pixels are about as large as the raster's, or smaller."""
    height, width = pixels.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": "float64"}
    with MemoryFile() as memory:
        with memory.open(**profile, crs=crs, transform=transform, nodata=MISSING) as made:
            made.write(pixels, 1)
        with memory.open() as source, exact_vrt(source, grid, resampling) as warped:
            return warped.read(1)


def exact_vrt(source: rasterio.DatasetReader, grid: Grid, resampling: Resampling) -> WarpedVRT:
    """An open raster on a window whose pixels are about as large as its own, or smaller."""
    across, down = _kernel(source, grid)
    return WarpedVRT(
        source,
        crs=f"EPSG:{grid.epsg}",
        transform=grid.transform,
        width=grid.width,
        height=grid.height,
        resampling=GdalResampling[resampling.value],
        tolerance=1e-9,
        XSCALE=across,
        YSCALE=down,
    )


def _kernel(source: rasterio.DatasetReader, grid: Grid) -> tuple[float, float]:
    """Pixels of a window per pixel of a raster, at most 1: less than that where the grids are turned."""
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    xs = [x + column * grid.x_size for column in (-1, 0, 1) for _ in range(3)]
    ys = [y + row * grid.y_size for _ in range(3) for row in (-1, 0, 1)]
    places = np.array(transform(f"EPSG:{grid.epsg}", source.crs, xs, ys))
    columns, rows = np.array([~source.transform @ tuple(place) for place in places.T]).T
    return min(2 / np.ptp(columns), 1.0), min(2 / np.ptp(rows), 1.0)


def _by_pixel_grid(hrefs: Sequence[str]) -> list[list[rasterio.DatasetReader]]:
    groups: list[list[rasterio.DatasetReader]] = []
    for href in hrefs:
        dataset = rasterio.open(href)
        for group in groups:
            column, row = ~group[0].transform @ (dataset.transform.c, dataset.transform.f)
            is_whole = abs(column - round(column)) < 1e-3 and abs(row - round(row)) < 1e-3
            same_size = np.allclose(dataset.res, group[0].res, rtol=1e-9)
            if dataset.crs == group[0].crs and same_size and is_whole:
                group.append(dataset)
                break
        else:
            groups.append([dataset])
    return groups


def _mosaic(
    group: Sequence[rasterio.DatasetReader], read: WindowRead
) -> tuple[np.ndarray, Affine, rasterio.CRS]:
    """The rasters laid together as float64, with MISSING for no data; what is far off is left out."""
    first = group[0]
    corners = [~first.transform @ (dataset.transform.c, dataset.transform.f) for dataset in group]
    places = [(round(row), round(column)) for column, row in corners]
    edges = [
        min(row for row, _ in places),
        min(column for _, column in places),
        max(row + dataset.height for (row, _), dataset in zip(places, group, strict=True)),
        max(column + dataset.width for (_, column), dataset in zip(places, group, strict=True)),
    ]
    top, left, bottom, right = _near(edges, first, read.grid)
    pixels = np.full((bottom - top, right - left), MISSING)
    for (row, column), dataset in reversed(list(zip(places, group, strict=True))):
        part = Window(left - column, top - row, right - left, bottom - top)
        band = dataset.read(read.band, window=part, boundless=True, fill_value=0)
        rows, columns = np.mgrid[top - row : bottom - row, left - column : right - column]
        holds = (rows >= 0) & (rows < dataset.height) & (columns >= 0) & (columns < dataset.width)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # of rasterio's own arithmetic
            if read.nodata is None:
                holds &= dataset.read_masks(read.band, window=part, boundless=True) > 0
            else:
                holds &= band != read.nodata
        holds &= np.isfinite(band)
        pixels[holds] = band[holds]
    return pixels, first.transform @ Affine.translation(left, top), first.crs


def _near(edges: Sequence[int], dataset: rasterio.DatasetReader, around: Grid) -> tuple[int, ...]:
    """Cut the rectangle (top, left, bottom, right) to what lies within 50 pixels of the window."""
    west, south, east, north = transform_bounds(f"EPSG:{around.epsg}", dataset.crs, *around.bounds)
    left, top = ~dataset.transform @ (west, north)
    right, bottom = ~dataset.transform @ (east, south)
    lows = [max(edge, int(near) - 50) for edge, near in zip(edges[:2], (top, left), strict=True)]
    highs = [min(edge, int(near) + 50) for edge, near in zip(edges[2:], (bottom, right), strict=True)]
    is_apart = any(low >= high for low, high in zip(lows, highs, strict=True))
    return (edges[0], edges[1], edges[0] + 1, edges[1] + 1) if is_apart else (*lows, *highs)


def assert_same(answer: ReadWindow | ReadFailure, read: WindowRead, wanted: ReadWindow | None = None) -> None:
    """Equal for nearest; within one count, or 1e-3 for floats, for bilinear."""
    wanted = wanted or expected(read)
    assert isinstance(answer, ReadWindow), answer
    assert answer.values.dtype == wanted.values.dtype
    assert answer.values.shape == answer.valid.shape == read.grid.shape
    assert answer.valid.dtype == bool
    np.testing.assert_array_equal(answer.valid, wanted.valid)
    assert not answer.values[~answer.valid].any()
    tolerance = 0.0
    if read.resampling is Resampling.BILINEAR:
        tolerance = 1e-3 if wanted.values.dtype.kind == "f" else 1
    np.testing.assert_allclose(
        answer.values.astype(np.float64), wanted.values.astype(np.float64), rtol=0, atol=tolerance
    )
