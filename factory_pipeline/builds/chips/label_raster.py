"""The label: a footprint burnt on its window."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.chips.windows import PIXEL_SIZE
from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.hdf5.schema import LABEL_NODATA

Axis = NDArray[np.float64]


def burn_footprints(
    x: Axis, y: Axis, values: NDArray[np.float32], left: Axis, top: Axis, radius: float, size: int
) -> NDArray[np.float32]:
    """Burn each footprint, a disc, into its own window: every pixel that it touches.

    A pixel is touched if the distance from the disc's centre to the square of the pixel is not larger than
    the radius.

    Args:
        x: (n,) eastings of the centres in the CRS of the windows [m].
        y: (n,) northings of the centres [m].
        values: (n,) the value to burn, float32.
        left: (n,) western edges of the windows [m].
        top: (n,) northern edges of the windows [m].
        radius: of the footprints [m].
        size: width and height of the windows [pixels].

    Returns:
        (n, 1, size, size) float32; LABEL_NODATA in pixels that are not touched.
    """
    across = distance_to_pixels((x - left) / PIXEL_SIZE, size)[:, None, :]
    down = distance_to_pixels((top - y) / PIXEL_SIZE, size)[:, :, None]
    touched = np.hypot(across, down) * PIXEL_SIZE <= radius
    burnt = np.where(touched, values[:, None, None], np.float32(LABEL_NODATA))
    return burnt[:, None].astype(np.float32)


def distance_to_pixels(place: Axis, size: int) -> Axis:
    """Return how far each pixel of an axis is from a place on it: (n, size), in pixels.

    0 for its own pixel.

    Args:
        place: (n,) positions, in pixels.
        size: of the window, in pixels.
    """
    start = np.arange(size)
    return np.maximum(np.maximum(start - place[:, None], place[:, None] - (start + 1)), 0)


def project(longitude: Axis, latitude: Axis, epsg: NDArray[np.int32]) -> tuple[Axis, Axis]:
    """Return x and y of places in degrees (WGS 84), each in a CRS of its own.

    Args:
        longitude: (n,) degrees.
        latitude: (n,) degrees.
        epsg: (n,) codes of the CRSs.
    """
    x, y = np.empty(len(epsg)), np.empty(len(epsg))
    for code in np.unique(epsg):
        same = epsg == code
        transformer = crs_transformer(4326, int(code))
        x[same], y[same] = transformer.transform(longitude[same], latitude[same])
    return x, y


def label_raster(samples: pl.DataFrame, radius: float, size: int) -> NDArray[np.float32]:
    """Return the label of each sample, (n, 1, size, size) [Mg/ha].

    Args:
        samples: `lon_lowestmode`, `lat_lowestmode`, `agbd`; `epsg`, `left`, `top` of the window.
        radius: of the footprints [m].
        size: pixels a side of the windows.
    """
    x, y = project(
        samples["lon_lowestmode"].to_numpy(),
        samples["lat_lowestmode"].to_numpy(),
        samples["epsg"].to_numpy(),
    )
    return burn_footprints(
        x,
        y,
        samples["agbd"].to_numpy(),
        samples["left"].to_numpy(),
        samples["top"].to_numpy(),
        radius,
        size,
    )
