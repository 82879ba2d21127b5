"""Altitude and slope from the Copernicus DEM on the windows of the Sentinel-2 chips."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.chips.chip_stack import ChipStack
from factory_pipeline.builds.chips.reading import stack_windows
from factory_pipeline.builds.chips.tiled_layers import TiledLayer
from factory_pipeline.builds.chips.windows import PIXEL_SIZE, footprint_pixels, window_grids
from factory_pipeline.cog.reader import Resampling, WindowReader
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.sample_checks import ALTITUDE_RANGE
from factory_pipeline.stac.items import RasterTile

STAGE = "copdem"
NO_DEM = "no_dem"
SLOPE = "slope"
AT_ONCE = 64
"""Windows whose slope is computed at a time, so that their numbers stay in the processor's cache."""


def extract_terrain(
    windows: pl.DataFrame,
    tiles: Sequence[tuple[RasterTile, ...]],
    reader: WindowReader,
    recipe: Recipe,
    gaps: Sequence[str] = (),
) -> ChipStack:
    """Read altitude and slope of each window; drop footprints on steep ground.

    The DEM is resampled bilinearly with a margin of one pixel, so that the slope is right up to the edge.

    Args:
        windows: the table of the Sentinel-2 chips; chips come in this order.
        tiles: for each window the DEM tiles that it touches, from `find_tiles`.
        reader: reads the windows.
        recipe: window size, largest slope.
        gaps: for each window what it lacks because items of the catalog can't be used, from `find_tiles`.

    Returns:
        `copdem` (chips, 2, rows, columns) float32: altitude [m] and slope [%]; a table of the tiles.
        Reasons of rejects: `no_dem`, `slope`, `item_unusable`, `asset_unreadable`.

    Raises:
        SourceUnavailableError: the archive is away.
    """
    layer = TiledLayer(STAGE, Resampling.BILINEAR, NO_DEM)
    grids = [grid.padded(1) for grid in window_grids(windows, recipe.window_size)]
    found = layer.read(windows["shot_number"].to_list(), grids, tiles, reader, gaps)
    altitude, valid = stack_windows([window.pixels for window in found], recipe.window_size + 2)
    altitude = altitude.astype(np.float32)
    # A void that no tag declares (-32767, -9999, NaN), or that was interpolated with one, is no altitude.
    low, high = ALTITUDE_RANGE
    void = np.logical_not((valid & (altitude >= low) & (altitude <= high)).all(axis=(1, 2)))
    altitude[void] = 0
    parts = np.array_split(altitude, len(altitude) // AT_ONCE + 1)
    slope = np.concatenate([slope_percent(part, PIXEL_SIZE) for part in parts])
    steepest = slope[:, *footprint_pixels(recipe.window_size)].max(axis=(1, 2))
    limit = recipe.terrain.max_slope
    for window, is_void, percent in zip(found, void.tolist(), steepest.tolist(), strict=True):
        if is_void:
            layer.drop(window.shot_number, NO_DEM, "The DEM has a void in the window.")
        elif percent > limit:
            detail = f"The slope at the footprint is {percent:.1f} %, {limit:g} % is allowed."
            layer.drop(window.shot_number, SLOPE, detail)
        else:
            layer.kept.append(window)
    fine = ~void & ~(steepest > limit)
    chips = np.stack([altitude[fine, 1:-1, 1:-1], slope[fine]], axis=1)
    return ChipStack(layer.table, {"copdem": chips}, layer.rejects)


def slope_percent(altitude: NDArray[np.float32], pixel_size: float) -> NDArray[np.float32]:
    """Slope by Horn's method, as `gdaldem slope -p` computes it.

    B. K. P. Horn, Hill shading and the reflectance map, Proceedings of the IEEE 69 (1981), 14-47.

    Args:
        altitude: (..., rows + 2, columns + 2) [m], with a margin of one pixel.
        pixel_size: [m].

    Returns:
        (..., rows, columns) [%].
    """
    z = altitude.astype(np.float64)
    west, middle, east = z[..., :-2], z[..., 1:-1], z[..., 2:]
    rise_east = east - west
    across = rise_east[..., :-2, :] + 2 * rise_east[..., 1:-1, :] + rise_east[..., 2:, :]
    weighted = west + 2 * middle + east
    along = weighted[..., 2:, :] - weighted[..., :-2, :]
    return (100 * np.hypot(across, along) / (8 * pixel_size)).astype(np.float32)
