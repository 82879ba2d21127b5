"""ESA WorldCover tiles of the sample's world."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid
from factory_pipeline.synthetic.coverage import Sites, blocks_near, strips
from factory_pipeline.synthetic.geotiff import BlockIndex, Downsampling, RasterProfile, write_cog
from factory_pipeline.synthetic.world import World

WORLDCOVER_CLASSES = {
    10: ("Tree cover", "006400"),
    20: ("Shrubland", "FFBB22"),
    30: ("Grassland", "FFFF4C"),
    40: ("Cropland", "F096FF"),
    50: ("Built-up", "FA0000"),
    60: ("Bare / sparse vegetation", "B4B4B4"),
    70: ("Snow and ice", "F0F0F0"),
    80: ("Permanent water bodies", "0064C8"),
    90: ("Herbaceous wetland", "0096A0"),
    95: ("Mangroves", "00CF75"),
    100: ("Moss and lichen", "FAE6A0"),
}
"""Name and colour (RRGGBB) by class code."""

WORLDCOVER_PROFILE = RasterProfile(
    dtype=np.dtype("uint8"),
    block=1024,
    downsampling=Downsampling.NEAREST,
    nodata=0,
    overviews=6,
    colors={code: color for code, (_, color) in WORLDCOVER_CLASSES.items()},
)

WORLDCOVER_VERSIONS = {2020: "v100", 2021: "v200"}
"""Version of the algorithm by the map's year."""

WorldCoverTile = tuple[int, int]
"""(west, south) of a tile of three degrees, in degrees."""


def worldcover_tile_name(tile: WorldCoverTile) -> str:
    """Such as N00E006."""
    west, south = tile
    return f"{'N' if south >= 0 else 'S'}{abs(south):02d}{'E' if west >= 0 else 'W'}{abs(west):03d}"


def worldcover_id(tile: WorldCoverTile, year: int) -> str:
    """Such as ESA_WorldCover_10m_2020_v100_N00E006.

    Args:
        tile: of the map.
        year: of the map.
    """
    return f"ESA_WorldCover_10m_{year}_{WORLDCOVER_VERSIONS[year]}_{worldcover_tile_name(tile)}"


def worldcover_file(tile: WorldCoverTile, year: int) -> str:
    """File name of a tile.

    Args:
        tile: of the map.
        year: of the map.
    """
    return f"{worldcover_id(tile, year)}_Map.tif"


def worldcover_grid(tile: WorldCoverTile) -> Grid:
    """36000 by 36000 pixels of 0.3 arc seconds."""
    west, south = tile
    return Grid(4326, west, south + 3, 3 / 36000, 3 / 36000, 36000, 36000)


def worldcover_tiles(sites: Sites) -> list[WorldCoverTile]:
    """Return the tiles within the margin of a site."""
    margin_x, margin_y = sites.margin_degrees
    tiles: set[WorldCoverTile] = set()
    for dx in (-margin_x, margin_x):
        for dy in (-margin_y, margin_y):
            west, south = np.floor((sites.lon + dx) / 3) * 3, np.floor((sites.lat + dy) / 3) * 3
            tiles.update((int(a), int(b)) for a, b in zip(west, south, strict=True))
    return sorted(tiles)


def write_worldcover(world: World, folder: Path, tile: WorldCoverTile, sites: Sites) -> None:
    """Write the maps of both years of a tile, filled near the sites.

    Args:
        world: the ground.
        folder: of the archive.
        tile: of the map.
        sites: places around which pixels are filled.
    """
    grid, size = worldcover_grid(tile), WORLDCOVER_PROFILE.block
    years = tuple(WORLDCOVER_VERSIONS)
    maps: dict[int, dict[BlockIndex, NDArray[np.generic]]] = {year: {} for year in years}
    for index in blocks_near(grid, size, sites.lon, sites.lat, *sites.margin_degrees):
        parts = [world.worldcover(lon, lat, years) for lon, lat in strips(grid, size, index)]
        for year, rows in zip(years, zip(*parts, strict=True), strict=True):
            maps[year][index] = np.concatenate(rows)
    for year in years:
        write_cog(folder / worldcover_file(tile, year), grid, maps[year], WORLDCOVER_PROFILE)
