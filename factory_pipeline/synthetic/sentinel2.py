"""Sentinel-2 L2A products of the sample's world, in the profile in which Planetary Computer serves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid
from factory_pipeline.synthetic.coverage import MARGIN, Sites, blocks_near, strips
from factory_pipeline.synthetic.geotiff import BlockIndex, Downsampling, RasterProfile, write_cog
from factory_pipeline.synthetic.mgrs import MgrsTile, is_held, to_lonlat, to_utm
from factory_pipeline.synthetic.world import Sky, Surface, World, WorldScene

ASSET_RESOLUTIONS = {
    "B02": 10,
    "B03": 10,
    "B04": 10,
    "B08": 10,
    "B05": 20,
    "B06": 20,
    "B07": 20,
    "B8A": 20,
    "B11": 20,
    "B12": 20,
    "SCL": 20,
    "B09": 60,
}
"""Metres per pixel of each asset."""

HALF_WINDOW = 170.0
"""Metres between a footprint and the edge of its window, and a pixel more."""

COUNT_STEP = 16
"""Counts are multiples of this (0.0016 of reflectance): it halves the size of the archive."""

REFLECTANCE_PROFILE = RasterProfile(
    dtype=np.dtype("uint16"), block=512, downsampling=Downsampling.AVERAGE, bits=15, nodata=0
)
SCENE_CLASS_PROFILE = RasterProfile(
    dtype=np.dtype("uint8"), block=512, downsampling=Downsampling.NEAREST, nodata=0
)


ClassFractions = dict[int, float]
"""Fractions of a product's pixels by SCL code."""


@dataclass(frozen=True)
class Visit:
    """One acquisition, relative to the overpass of GEDI that it belongs to."""

    days: float
    """Days after the overpass, negative before it; the time of day is 10:10 local solar time."""
    cloud_cover: float
    """Cloud cover in percent of the tile, as in the item."""
    baseline: str = "02.14"
    """Processing baseline; from 04.00 on the counts carry an offset."""
    bank_radius: float | None = None
    """Metres around the middle of the footprints that are under clouds, whatever the cloud cover is."""
    lacks: tuple[str, ...] = ()
    """Assets that the product does not have."""


@dataclass(frozen=True)
class SyntheticProduct:
    """One product: an acquisition of one tile."""

    visit: Visit
    time: datetime
    """Sensing time, UTC."""
    tile: MgrsTile
    key: int
    """Number of the acquisition in the archive: decides its clouds and noise."""
    bank: tuple[float, float] | None
    """Longitude and latitude of the cloud bank."""

    @property
    def platform(self) -> str:
        """S2A or S2B."""
        return "S2B" if self.key % 2 else "S2A"

    @property
    def relative_orbit(self) -> int:
        """1 to 143, the same for all acquisitions of a UTM zone."""
        return (self.tile.zone * 67) % 143 + 1

    @property
    def generation_time(self) -> datetime:
        """A day after sensing; a product that was processed again, in 2023."""
        if self.offset:
            return self.time.replace(microsecond=0) + timedelta(days=900)
        return self.time.replace(microsecond=0) + timedelta(hours=19, minutes=7)

    @property
    def offset(self) -> int:
        """Added to the counts from baseline 04.00 on (RADIO_ADD_OFFSET of the product specification)."""
        return 1000 if self.visit.baseline >= "04.00" else 0

    @property
    def sensing(self) -> str:
        """Sensing time as in names."""
        return f"{self.time:%Y%m%dT%H%M%S}"

    @property
    def item_id(self) -> str:
        """As Planetary Computer names its items: the product's name without the baseline."""
        return (
            f"{self.platform}_MSIL2A_{self.sensing}_R{self.relative_orbit:03d}_T{self.tile.name}_"
            f"{self.generation_time:%Y%m%dT%H%M%S}"
        )

    @property
    def product_uri(self) -> str:
        """Name of the SAFE product."""
        return (
            f"{self.platform}_MSIL2A_{self.sensing}_N{self.visit.baseline.replace('.', '')}_"
            f"R{self.relative_orbit:03d}_T{self.tile.name}_{self.generation_time:%Y%m%dT%H%M%S}.SAFE"
        )

    @property
    def assets(self) -> tuple[str, ...]:
        """Keys of the assets that the product has."""
        return tuple(asset for asset in ASSET_RESOLUTIONS if asset not in self.visit.lacks)

    def asset_file(self, asset: str) -> str:
        """File name of an asset."""
        return f"T{self.tile.name}_{self.sensing}_{asset}_{ASSET_RESOLUTIONS[asset]}m.tif"

    @property
    def sky(self) -> Sky:
        """The product's clouds."""
        bank = None
        if self.bank is not None and self.visit.bank_radius is not None:
            bank = (*self.bank, self.visit.bank_radius)
        return Sky(self.key, self.visit.cloud_cover / 100, bank)


def sensing_time(overpass: datetime, lon: float, days: float) -> datetime:
    """The time nearest to `days` after the overpass at which it is 10:10 solar time at the longitude.

    Args:
        overpass: of GEDI (UTC).
        lon: degrees.
        days: after it; below zero before it.
    """
    target = overpass + timedelta(days=days)
    crossing = timedelta(hours=10 + 10 / 60 - lon / 15)
    midnight = datetime(target.year, target.month, target.day, tzinfo=UTC)
    candidates = [midnight + timedelta(days=shift) + crossing for shift in (-1, 0, 1)]
    return min(candidates, key=lambda time: abs(time - target)).replace(microsecond=24000)


def write_products(
    world: World, folder: Path, products: Sequence[SyntheticProduct], sites: Sites
) -> dict[str, ClassFractions]:
    """Write all assets of products of one tile, filled near those sites that are in the tile.

    Args:
        world: the ground.
        folder: of the archive.
        products: of one tile.
        sites: places around which pixels are filled.

    Returns:
        By item id: the fractions of the SCL classes over the filled blocks.
    """
    tile = products[0].tile
    x, y = to_utm(tile.epsg, sites.lon, sites.lat)
    held = is_held(tile, x, y, HALF_WINDOW)
    fractions: dict[str, ClassFractions] = {}
    for resolution in sorted(set(ASSET_RESOLUTIONS.values())):
        grid = tile.grid(resolution)
        indices = blocks_near(grid, REFLECTANCE_PROFILE.block, x[held], y[held], MARGIN, MARGIN)
        ground = {index: _surfaces(world, grid, index) for index in indices}
        for product in products:
            scenes = {index: [view(world, product, part) for part in ground[index]] for index in indices}
            for asset in (asset for asset in product.assets if ASSET_RESOLUTIONS[asset] == resolution):
                path = folder / product.item_id / product.asset_file(asset)
                profile = SCENE_CLASS_PROFILE if asset == "SCL" else REFLECTANCE_PROFILE
                blocks = {index: _block(world, product, asset, scenes[index]) for index in indices}
                write_cog(path, grid, blocks, profile)
                if asset == "SCL":
                    fractions[product.item_id] = _class_fractions(blocks)
    return fractions


def view(world: World, product: SyntheticProduct, surface: Surface) -> WorldScene:
    """Return what the product sees of the ground.

    Args:
        world: the ground.
        product: its time and clouds.
        surface: the ground at its pixels.
    """
    return world.scene(surface, product.sky, product.time.timetuple().tm_yday)


def counts(world: World, product: SyntheticProduct, band: str, scene: WorldScene) -> NDArray[np.uint16]:
    """What the product's pixels hold at these places: reflectance in counts, with the baseline's offset.

    Args:
        world: the ground.
        product: with its baseline.
        band: such as B04.
        scene: what is seen of the ground.
    """
    stepped = np.maximum(np.rint(world.reflectance(scene, band) / COUNT_STEP), 1) * COUNT_STEP
    return (stepped + product.offset).astype(np.uint16)


def _surfaces(world: World, grid: Grid, index: BlockIndex) -> list[Surface]:
    return [
        world.surface(*to_lonlat(grid.epsg, x, y)) for x, y in strips(grid, REFLECTANCE_PROFILE.block, index)
    ]


def _block(
    world: World, product: SyntheticProduct, asset: str, scenes: list[WorldScene]
) -> NDArray[np.generic]:
    if asset == "SCL":
        return np.concatenate([world.scene_classes(scene) for scene in scenes])
    return np.concatenate([counts(world, product, asset, scene) for scene in scenes])


def _class_fractions(
    blocks: Mapping[BlockIndex, NDArray[np.generic]],
) -> ClassFractions:
    total = sum((np.bincount(block.ravel(), minlength=12) for block in blocks.values()), np.zeros(12))
    return {code: float(number) / max(float(total.sum()), 1.0) for code, number in enumerate(total)}
