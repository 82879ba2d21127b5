"""Archives of a chosen density: so many footprints over so many blocks of one Sentinel-2 tile.

The formats are those of the sample archive (15-bit deflate of 512x512 for the bands, floating-point
predictor for the DEM). The pixels are smooth fields with noise rather than a landscape: quick to make, as
hard to compress as real ones, and every window passes the scene checks.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.gedi.granules import FOOTPRINT_SCHEMA, GEDI_EPOCH
from factory_pipeline.cog.grid import Grid
from factory_pipeline.synthetic.coverage import MARGIN, Sites, blocks_near
from factory_pipeline.synthetic.dem import DEM_PROFILE, dem_file, dem_grid, dem_tiles
from factory_pipeline.synthetic.geotiff import BlockIndex, RasterProfile, write_cog
from factory_pipeline.synthetic.mgrs import MgrsTile, to_lonlat
from factory_pipeline.synthetic.sentinel2 import (
    ASSET_RESOLUTIONS,
    REFLECTANCE_PROFILE,
    SCENE_CLASS_PROFILE,
    SyntheticProduct,
    Visit,
)
from factory_pipeline.synthetic.stac import (
    COPDEM,
    SENTINEL2,
    WORLDCOVER,
    dem_item,
    sentinel2_item,
    worldcover_item,
    write_catalog,
)
from factory_pipeline.synthetic.worldcover import (
    WORLDCOVER_PROFILE,
    WORLDCOVER_VERSIONS,
    worldcover_file,
    worldcover_grid,
    worldcover_tiles,
)

TILE = MgrsTile(32633, 5, 54)
"""At 15 E, 49 N."""
BLOCK_METRES = 5120
"""Side of a block of a 10 m band."""
EDGE = 400.0
"""Metres from the tile's edge that footprints keep."""
FIRST_PASS = datetime(2020, 6, 8, 10, 10, tzinfo=UTC)
GRANULE = "GEDI04_A_2020160091007_O08452_02_T01204_02_002_01_V002"
VEGETATION = 4


@dataclass(frozen=True)
class Density:
    """How the footprints lie over the blocks."""

    name: str
    footprints: int
    blocks: int
    """Side of the square of 10 m blocks over which the footprints are strewn."""
    products: int = 1
    """Acquisitions 20 days apart; each takes its share of the footprints, in the order of time."""

    @property
    def per_block(self) -> float:
        """Footprints per block of a 10 m band."""
        return self.footprints / self.products / self.blocks**2


@dataclass(frozen=True)
class Acquisition:
    """A product, and the places (metres in its tile's zone) around which its rasters hold data."""

    product: SyntheticProduct
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def make_archive(root: Path, density: Density, seed: int = 0, workers: int = 2) -> pl.DataFrame:
    """Write rasters and a STAC catalog below `root`; give the footprints, in FOOTPRINT_SCHEMA."""
    rng = np.random.default_rng(seed)
    x, y = places(TILE, density.footprints, density.blocks, rng)
    lon, lat = to_lonlat(TILE.epsg, x, y)
    number = np.arange(density.footprints) * density.products // density.footprints
    passes = [FIRST_PASS + timedelta(days=20 * index) for index in range(density.products)]
    chosen = [
        SyntheticProduct(Visit(2, 5.0), time + timedelta(days=2), TILE, key, None)
        for key, time in enumerate(passes)
    ]
    # Cloudier neighbours in time, which a search finds and nobody reads.
    others = [
        SyntheticProduct(Visit(-3, 15.0), time - timedelta(days=3), TILE, key + 100, None)
        for key, time in enumerate(passes)
    ]
    acquisitions = [
        Acquisition(product, x[number == key], y[number == key]) for key, product in enumerate(chosen)
    ]
    write_imagery(root, acquisitions, others, Sites(lon, lat), workers)
    return made_footprints(lon, lat, np.array([seconds_of(passes[key]) for key in number]))


def write_imagery(
    root: Path,
    acquisitions: Sequence[Acquisition],
    unread: Sequence[SyntheticProduct],
    sites: Sites,
    workers: int = 2,
) -> None:
    """Write the rasters of acquisitions, the tiles of both maps around the sites, and the STAC catalog.

    Products in `unread` are in the catalog alone.
    """
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        writing = [
            *(
                pool.submit(_write_asset, root, each, asset)
                for each in acquisitions
                for asset in each.product.assets
            ),
            pool.submit(_write_tiles, root, sites),
        ]
        for written in writing:
            written.result()
    products = [*(each.product for each in acquisitions), *unread]
    items = [sentinel2_item(product, {VEGETATION: 1.0}) for product in products]
    items += [dem_item(tile) for tile in dem_tiles(sites)]
    items += [worldcover_item(tile, year) for tile in worldcover_tiles(sites) for year in WORLDCOVER_VERSIONS]
    write_catalog(root / "stac", items)


def made_footprints(
    lon: NDArray[np.float64], lat: NDArray[np.float64], start_s: NDArray[np.float64]
) -> pl.DataFrame:
    """A table of footprints in FOOTPRINT_SCHEMA, one after the other from `start_s` (s since the epoch)."""
    count = len(lon)
    columns = {
        "shot_number": 84_520_200_300_000_000 + np.arange(count),
        "granule": [GRANULE] * count,
        "beam": ["BEAM0101"] * count,
        "delta_time": start_s + np.arange(count) * 1e-3,
        "lat_lowestmode": lat,
        "lon_lowestmode": lon,
        "agbd": np.linspace(1, 400, count),
        "agbd_se": np.linspace(0.1, 40, count),
        **{flag: [1] * count for flag in ("l2_quality_flag", "l4_quality_flag", "surface_flag")},
    }
    return pl.DataFrame(columns, schema=FOOTPRINT_SCHEMA)


def seconds_of(time: datetime) -> float:
    """Seconds since the epoch of GEDI."""
    return (time - GEDI_EPOCH).total_seconds()


def places(
    tile: MgrsTile, count: int, blocks: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Easting and northing of footprints, over a square of so many blocks a side in the tile's north-west."""
    grid = tile.grid(10)
    along = rng.uniform(EDGE, blocks * BLOCK_METRES - EDGE, (2, count))
    return grid.left + along[0], grid.top - along[1]


def _write_asset(root: Path, acquisition: Acquisition, asset: str) -> None:
    product = acquisition.product
    grid = product.tile.grid(ASSET_RESOLUTIONS[asset])
    profile = SCENE_CLASS_PROFILE if asset == "SCL" else REFLECTANCE_PROFILE
    indices = blocks_near(grid, profile.block, acquisition.x, acquisition.y, MARGIN, MARGIN)
    rng = np.random.default_rng([product.key, *asset.encode()])
    if asset == "SCL":
        scene = np.full((profile.block, profile.block), VEGETATION, np.uint8)
        scene[_smooth(rng, profile.block, 8) > 0] = VEGETATION + 1
        blocks = dict(_shifted(scene, indices))
    else:
        texture = 1500 + 500 * _smooth(rng, profile.block, 8) + rng.normal(0, 40, (profile.block,) * 2)
        blocks = dict(_shifted(texture.clip(1, 2**15 - 1).astype(np.uint16), indices))
    path = root / "rasters" / SENTINEL2 / product.item_id / product.asset_file(asset)
    write_cog(path, grid, blocks, profile)


def _write_tiles(root: Path, sites: Sites) -> None:
    rng = np.random.default_rng(1)
    size = DEM_PROFILE.block
    relief = (400 + 10 * _smooth(rng, size, 8) + rng.normal(0, 0.2, (size, size))).astype(np.float32)
    for degree in dem_tiles(sites):
        _write_tile(
            root / "rasters" / COPDEM / dem_file(degree), dem_grid(degree), relief, DEM_PROFILE, sites
        )
    size = WORLDCOVER_PROFILE.block
    cover = np.where(_smooth(rng, size, 64) > 0, 10, 30).astype(np.uint8)
    for tile in worldcover_tiles(sites):
        for year in WORLDCOVER_VERSIONS:
            path = root / "rasters" / WORLDCOVER / worldcover_file(tile, year)
            _write_tile(path, worldcover_grid(tile), cover, WORLDCOVER_PROFILE, sites)


def _write_tile(
    path: Path, grid: Grid, texture: NDArray[np.generic], profile: RasterProfile, sites: Sites
) -> None:
    indices = blocks_near(grid, profile.block, sites.lon, sites.lat, *sites.margin_degrees)
    write_cog(path, grid, dict(_shifted(texture, indices)), profile)


def _smooth(rng: np.random.Generator, size: int, periods: int) -> NDArray[np.float64]:
    """A field (size, size) of about -1..1 that goes on over its edges, of waves of random phase."""
    phase = rng.uniform(0, 2 * np.pi, (4, 2))
    along = 2 * np.pi * np.arange(size) / size
    waves = [
        np.sin((periods + number) * along + a)[:, None] * np.cos((periods - number) * along + b)
        for number, (a, b) in enumerate(phase)
    ]
    return np.mean(waves, axis=0) * 2


def _shifted(
    texture: NDArray[np.generic], indices: list[BlockIndex]
) -> Iterator[tuple[BlockIndex, NDArray[np.generic]]]:
    """A texture for each block, shifted so that no two blocks are alike."""
    for row, column in indices:
        yield (row, column), np.roll(texture, (37 * row, 53 * column), axis=(0, 1))
