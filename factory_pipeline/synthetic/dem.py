"""Copernicus DEM GLO-30 tiles of the sample's world."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid
from factory_pipeline.synthetic.coverage import Sites, blocks_near, strips
from factory_pipeline.synthetic.geotiff import BlockIndex, Downsampling, RasterProfile, write_cog
from factory_pipeline.synthetic.world import World

DEM_PROFILE = RasterProfile(
    dtype=np.dtype("float32"),
    block=1024,
    downsampling=Downsampling.AVERAGE,
    overviews=3,
    pixel_is_point=True,
)

ELEVATION_STEP = 1 / 64
"""Metres."""

# (up to this latitude, arc seconds between columns): the grid of the Copernicus DEM product handbook.
_COLUMN_SPACING = ((50, 1.0), (60, 1.5), (70, 2.0), (80, 3.0), (85, 5.0), (90, 10.0))

DemTile = tuple[int, int]
"""(west, south) of a tile of one degree, in degrees."""


def dem_name(tile: DemTile) -> str:
    """Such as Copernicus_DSM_COG_10_N00_00_E006_00_DEM."""
    return f"Copernicus_DSM_COG_10_{_degrees(tile[1], 'NS', 2)}_00_{_degrees(tile[0], 'EW', 3)}_00_DEM"


def dem_file(tile: DemTile) -> str:
    """File name of a tile."""
    return f"{dem_name(tile)}.tif"


def dem_grid(tile: DemTile) -> Grid:
    """Return the tile's pixels: their centres start on the degree, columns are wider towards the poles."""
    west, south = tile
    nearest_equator = south if south >= 0 else -south - 1
    spacing = next(seconds for limit, seconds in _COLUMN_SPACING if nearest_equator < limit) / 3600
    row = 1 / 3600
    return Grid(4326, west - spacing / 2, south + 1 + row / 2, spacing, row, round(1 / spacing), 3600)


def dem_tiles(sites: Sites) -> list[DemTile]:
    """Return the tiles within the margin of a site."""
    margin_x, margin_y = sites.margin_degrees
    tiles: set[DemTile] = set()
    for dx in (-margin_x, margin_x):
        for dy in (-margin_y, margin_y):
            west, south = np.floor(sites.lon + dx), np.floor(sites.lat + dy)
            tiles.update((int(a), int(b)) for a, b in zip(west, south, strict=True))
    return sorted(tiles)


def write_dem(world: World, folder: Path, tile: DemTile, sites: Sites) -> None:
    """Write a tile in metres, filled near the sites.

    Args:
        world: whose elevation is sampled.
        folder: that gets the file `dem_file(tile)`.
        tile: south-west corner in whole degrees.
        sites: within MARGIN metres of these the tile has data.
    """
    grid, size = dem_grid(tile), DEM_PROFILE.block
    blocks: dict[BlockIndex, NDArray[np.generic]] = {}
    for index in blocks_near(grid, size, sites.lon, sites.lat, *sites.margin_degrees):
        parts = [world.elevation(lon, lat) for lon, lat in strips(grid, size, index)]
        # Finer steps would be noise that doesn't compress.
        blocks[index] = np.round(np.concatenate(parts) / ELEVATION_STEP) * np.float32(ELEVATION_STEP)
    write_cog(folder / dem_file(tile), grid, blocks, DEM_PROFILE)


def _degrees(value: int, signs: str, digits: int) -> str:
    return f"{signs[0] if value >= 0 else signs[1]}{abs(value):0{digits}d}"
