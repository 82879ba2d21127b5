"""Small GeoTIFFs for the tests of the block engine."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from factory_pipeline.cog.header import HeaderBytes, MissingBytesError, RasterLayout, parse_header
from factory_pipeline.cog.packed_pixels import BlockPixels, PackedPixels

UTM = 32631
LEFT, TOP = 600000.0, 5000040.0


def write_raster(path: Path, values: np.ndarray, pixel: float = 20.0, **options: Any) -> str:
    """Write one array to all bands of a tiled GeoTIFF with its corner at LEFT, TOP in UTM zone 31."""
    bands = options.pop("count", 1)
    left, top = options.pop("left", LEFT), options.pop("top", TOP)
    profile = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}
    profile |= {"crs": f"EPSG:{UTM}", "transform": from_origin(left, top, pixel, pixel)} | options
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=bands, dtype=values.dtype, **profile
    ) as dataset:
        for band in range(bands):
            # Other bands differ, so that a reader that takes the wrong one is found out.
            dataset.write(values if band == 0 else np.flipud(values), band + 1)
    return str(path)


def random_values(
    shape: tuple[int, int], dtype: str = "uint16", seed: int = 0, nodata: float | None = None, high: int = 200
) -> np.ndarray:
    """Random numbers 1..high, of which every tenth is `nodata` if there is one."""
    random = np.random.default_rng(seed)
    values = random.integers(1, high, shape).astype(dtype)
    if nodata is not None:
        values[random.random(shape) < 0.1] = nodata
    return values


def layout_of(path: str, first: int = 32768) -> tuple[RasterLayout, int]:
    """The layout, and how many more ranges had to be fetched after the first."""
    content = memoryview(Path(path).read_bytes())
    header = HeaderBytes(len(content))
    header.add(0, content[:first])
    more = 0
    while True:
        try:
            return parse_header(path, header), more
        except MissingBytesError as missing:
            header.add(missing.start, content[missing.start : missing.start + missing.length])
            more += 1


def unpacked(pixels: BlockPixels | None) -> np.ndarray:
    """Return all pixels of a decoded block."""
    assert pixels is not None
    return pixels.unpack() if isinstance(pixels, PackedPixels) else pixels
