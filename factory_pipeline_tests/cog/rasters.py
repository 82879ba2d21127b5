"""Rasters of random counts on the grid of a satellite's product, and windows read from them."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import ReadWindow, Resampling, WindowRead

UTM = 32640
PRODUCT = Grid(UTM, 600000, 4000020, 10, 10, 480, 480)
SECOND = 1 / 3600


def write(path: Path, values: NDArray[Any], grid: Grid, **options: Any) -> str:
    profile = {"driver": "GTiff", "count": 1, "tiled": True, "blockxsize": 64, "blockysize": 64}
    profile |= {"compress": "deflate", "dtype": values.dtype, "crs": f"EPSG:{grid.epsg}"}
    with rasterio.open(
        path, "w", height=grid.height, width=grid.width, transform=grid.transform, **profile | options
    ) as file:
        file.write(values, 1)
    return str(path)


def band(metres: int, seed: int = 0, low: int = 1, high: int = 32767) -> tuple[NDArray[np.uint16], Grid]:
    """Random counts on the grid of a band of this pixel size over the whole product."""
    pixels = PRODUCT.width * 10 // metres
    values = np.random.default_rng(seed).integers(low, high, (pixels, pixels)).astype(np.uint16)
    return values, Grid(UTM, PRODUCT.left, PRODUCT.top, metres, metres, pixels, pixels)


def read_one(
    reader: RasterioReader, hrefs: str | tuple[str, ...], grid: Grid, resampling: Resampling
) -> ReadWindow:
    hrefs = (hrefs,) if isinstance(hrefs, str) else hrefs
    (answer,) = reader.read([WindowRead(hrefs, grid, resampling)])
    assert isinstance(answer, ReadWindow), answer
    return answer


def assert_equal_counts(got: NDArray[Any], expected: NDArray[Any], resampling: Resampling) -> None:
    """Equal; a bilinear value that lies just between two counts may be rounded to either."""
    difference = np.abs(got.astype(int) - expected.astype(int))
    assert difference.max() <= (1 if resampling is Resampling.BILINEAR else 0)
    assert (difference != 0).mean() < 0.01


def utm_window(longitude: float, latitude: float, epsg: int, size: int = 34) -> Grid:
    """A window around a place, its corner on whole tens of metres."""
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(longitude, latitude)
    return Grid(epsg, x // 10 * 10 - size * 5, y // 10 * 10 + size * 5, 10, 10, size, size)
