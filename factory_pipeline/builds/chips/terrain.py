"""Altitude and slope from the Copernicus DEM on the windows of the Sentinel-2 chips."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.chips.chip_stack import ChipStack, keep_chips
from factory_pipeline.builds.chips.tiled_layers import TiledLayer
from factory_pipeline.builds.chips.windows import PIXEL_SIZE, footprint_pixels, window_grids
from factory_pipeline.cog.reader import Resampling, WindowReader
from factory_pipeline.cog.scratch import Scratch
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.sample_checks import ALTITUDE_RANGE
from factory_pipeline.stac.items import RasterTile

STAGE = "copdem"
NO_DEM = "no_dem"
SLOPE = "slope"
AT_ONCE = 16
"""Windows whose slope is computed at a time, so that their numbers stay in the processor's cache."""
_SCRATCH = Scratch()


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
    size = recipe.window_size
    layer = TiledLayer(STAGE, Resampling.BILINEAR, NO_DEM, size + 2, np.float32)
    grids = [grid.padded(1) for grid in window_grids(windows, size)]
    found = layer.read(windows["shot_number"].to_list(), grids, tiles, reader, gaps)
    chips = np.empty((len(found.windows), 2, size, size), np.float32)
    # A void that no tag declares (-32767, -9999, NaN), or that was interpolated with one, is no altitude.
    low, high = ALTITUDE_RANGE
    limit = recipe.terrain.max_slope
    fine: list[int] = []
    for start in range(0, len(chips), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        altitude = found.values[part]
        void = np.logical_not((found.valid[part] & (altitude >= low) & (altitude <= high)).all(axis=(1, 2)))
        altitude[void] = 0
        slope = slope_percent(altitude, PIXEL_SIZE)
        chips[part, 0], chips[part, 1] = altitude[:, 1:-1, 1:-1], slope
        steepest = slope[:, *footprint_pixels(size)].max(axis=(1, 2))
        for place, (is_void, percent) in enumerate(
            zip(void.tolist(), steepest.tolist(), strict=True), start=start
        ):
            window = found.windows[place]
            if is_void:
                layer.drop(window.shot_number, NO_DEM, "The DEM has a void in the window.")
            elif percent > limit:
                detail = f"The slope at the footprint is {percent:.1f} %, {limit:g} % is allowed."
                layer.drop(window.shot_number, SLOPE, detail)
            else:
                layer.kept.append(window)
                fine.append(place)
    return ChipStack(layer.table, {"copdem": keep_chips(chips, fine)}, layer.rejects)


def slope_percent(altitude: NDArray[np.float32], pixel_size: float) -> NDArray[np.float32]:
    """Return the slope by Horn's method, as `gdaldem slope -p` computes it.

    B. K. P. Horn, Hill shading and the reflectance map, Proceedings of the IEEE 69 (1981), 14-47.

    Args:
        altitude: (..., rows + 2, columns + 2) [m], with a margin of one pixel.
        pixel_size: [m].

    Returns:
        (..., rows, columns) [%].
    """
    *stack, rows, columns = altitude.shape
    z = _SCRATCH.empty("altitude", altitude.shape)
    np.copyto(z, altitude)
    west, middle, east = z[..., :-2], z[..., 1:-1], z[..., 2:]
    # (east - west), the middle row twice; and (west + 2 middle + east) of the row below less that above.
    sums = _SCRATCH.empty("sums", west.shape)
    across, along = (_SCRATCH.empty(name, (*stack, rows - 2, columns - 2)) for name in ("across", "along"))
    np.subtract(east, west, out=sums)
    np.multiply(2, sums[..., 1:-1, :], out=across)
    np.add(sums[..., :-2, :], across, out=across)
    across += sums[..., 2:, :]
    np.multiply(2, middle, out=sums)
    np.add(west, sums, out=sums)
    sums += east
    np.subtract(sums[..., 2:, :], sums[..., :-2, :], out=along)
    np.hypot(across, along, out=across)
    across *= 100
    across /= 8 * pixel_size
    return across.astype(np.float32)
