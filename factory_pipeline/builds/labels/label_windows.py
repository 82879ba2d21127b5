"""The window of each label: which ground its sample shows."""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.raster_sources import Window
from factory_pipeline.errors import RecipeError
from factory_pipeline.stac.projection import from_degrees
from factory_pipeline.stac.utm_zones import utm_zone

WINDOW_COLUMNS: dict[str, pl.DataType] = {
    "epsg": pl.Int32(),
    "left": pl.Float64(),
    "top": pl.Float64(),
}
"""What a table of labels says of the windows: the CRS, and the corner in its units."""


def windows_around(labels: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Return the labels with WINDOW_COLUMNS: windows that have the label in pixel [size // 2, size // 2].

    The pixels are whole multiples of their size away from the origin of the CRS, so that neighbouring windows
    share them, as they do those of Sentinel-2 if these have the same size. Where the grid of a source
    decides, these are first estimates in UTM.

    Args:
        labels: `longitude`, `latitude` (degrees).
        window: of the recipe.

    Raises:
        RecipeError: a label can't be projected to the CRS.
    """
    longitude, latitude = labels["longitude"].to_numpy(), labels["latitude"].to_numpy()
    if isinstance(window.crs, int):
        epsg = np.full(labels.height, window.crs, dtype=np.int64)
    else:
        epsg = utm_zone(longitude, latitude)
    left, top = np.empty(labels.height), np.empty(labels.height)
    for code in np.unique(epsg):
        same = epsg == code
        x, y = from_degrees(int(code), longitude[same], latitude[same])
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise RecipeError(f"At window.crs: some labels can't be projected to EPSG:{code}.")
        left[same] = (np.floor(x / window.pixel_size) - window.size // 2) * window.pixel_size
        top[same] = (np.floor(y / window.pixel_size) + 1 + window.size // 2) * window.pixel_size
    return labels.with_columns(
        pl.Series("epsg", epsg, dtype=pl.Int32), pl.Series("left", left), pl.Series("top", top)
    )


def grids_of(windows: pl.DataFrame, size: int, pixel_size: float) -> list[Grid]:
    """Return the pixel grids of windows.

    Args:
        windows: WINDOW_COLUMNS.
        size: pixels a side.
        pixel_size: in the units of the CRS.
    """
    return [
        Grid(epsg, left, top, pixel_size, pixel_size, size, size)
        for epsg, left, top in windows.select(*WINDOW_COLUMNS).iter_rows()
    ]


def on_grid_of(grid: Grid, longitude: float, latitude: float, size: int) -> Grid:
    """Return the window on a raster's own pixels that has a place in pixel [size // 2, size // 2].

    Args:
        grid: of the raster.
        longitude: of the place, degrees.
        latitude: of the place, degrees.
        size: pixels a side.
    """
    x, y = from_degrees(grid.epsg, np.array([longitude]), np.array([latitude]))
    column = math.floor((float(x[0]) - grid.left) / grid.x_size)
    row = math.floor((grid.top - float(y[0])) / grid.y_size)
    return grid.window(row - size // 2, column - size // 2, size, size)


def overlap_items(windows: pl.DataFrame, names: Sequence[str], window: Window) -> pl.DataFrame:
    """Return the windows as `imagery.footprints` and `splits.assign` take images.

    Args:
        windows: WINDOW_COLUMNS.
        names: of the samples.
        window: of the recipe.
    """
    size = window.pixel_size
    transforms = [
        [size, 0.0, left, 0.0, -size, top] for left, top in windows.select("left", "top").iter_rows()
    ]
    return pl.DataFrame(
        {
            "stem": names,
            "original_name": names,
            "sha256": names,
            "epsg": windows["epsg"].cast(pl.Int64),
            "transform": pl.Series(transforms, dtype=pl.List(pl.Float64)),
            "width": [window.size] * windows.height,
            "height": [window.size] * windows.height,
            "bounds": pl.Series([None] * windows.height, dtype=pl.List(pl.Float64)),
        }
    )
