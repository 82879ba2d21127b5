"""Land cover from ESA WorldCover on the windows of the Sentinel-2 chips."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from factory_pipeline.builds.chips.chip_stack import ChipStack, keep_chips
from factory_pipeline.builds.chips.tiled_layers import TiledLayer
from factory_pipeline.builds.chips.windows import window_grids
from factory_pipeline.cog.reader import Resampling, WindowReader
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.stac.items import RasterTile

STAGE = "worldcover"
NO_WORLDCOVER = "no_worldcover"


def extract_landcover(
    windows: pl.DataFrame,
    tiles: Sequence[tuple[RasterTile, ...]],
    reader: WindowReader,
    recipe: Recipe,
    gaps: Sequence[str] = (),
) -> ChipStack:
    """Read the land cover of each window, by nearest.

    Args:
        windows: the table of the Sentinel-2 chips; chips come in this order.
        tiles: for each window the tiles that it touches, of the map for the shot's year.
        reader: reads the windows.
        recipe: window size.
        gaps: for each window what it lacks because items of the catalog can't be used, from `find_tiles`.

    Returns:
        `worldcover` (chips, 1, rows, columns) uint8: class code, 0 where the map has none; a table of the
        tiles. Reasons of rejects: `no_worldcover`, `item_unusable`, `asset_unreadable`.

    Raises:
        SourceUnavailableError: the archive is away.
    """
    layer = TiledLayer(STAGE, Resampling.NEAREST, NO_WORLDCOVER, recipe.window_size, np.uint8)
    grids = window_grids(windows, recipe.window_size)
    found = layer.read(windows["shot_number"].to_list(), grids, tiles, reader, gaps)
    has_data = np.logical_or.reduce(found.valid, axis=(1, 2))
    for window, is_there in zip(found.windows, has_data.tolist(), strict=True):
        if is_there:
            layer.kept.append(window)
        else:
            layer.drop(window.shot_number, NO_WORLDCOVER, "The map has no data in the window.")
    chips = keep_chips(found.values, np.flatnonzero(has_data).tolist())
    return ChipStack(layer.table, {"worldcover": chips[:, None]}, layer.rejects)
