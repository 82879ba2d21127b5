"""The sample archive: GEDI granules and the imagery around their footprints, as a static STAC catalog."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from factory_pipeline.config.gedi_products import ProductName
from factory_pipeline.errors import GranuleError
from factory_pipeline.plain_text import count_noun
from factory_pipeline.synthetic.coverage import Sites
from factory_pipeline.synthetic.dem import dem_tiles, write_dem
from factory_pipeline.synthetic.gedi_products import write_partner_granules
from factory_pipeline.synthetic.granules import GEDI_EPOCH, usable_footprints, write_granule
from factory_pipeline.synthetic.mgrs import tiles_holding, to_utm, utm_epsg
from factory_pipeline.synthetic.plan import DEMO_PLAN, GRANULE_VISITS, ArchivePlan
from factory_pipeline.synthetic.releases import make_releases
from factory_pipeline.synthetic.sentinel2 import (
    HALF_WINDOW,
    ClassFractions,
    SyntheticProduct,
    Visit,
    sensing_time,
    write_products,
)
from factory_pipeline.synthetic.stac import (
    COPDEM,
    SENTINEL2,
    WORLDCOVER,
    Json,
    dem_item,
    sentinel2_item,
    worldcover_item,
    write_catalog,
)
from factory_pipeline.synthetic.uploads import make_uploads
from factory_pipeline.synthetic.world import World
from factory_pipeline.synthetic.worldcover import WORLDCOVER_VERSIONS, worldcover_tiles, write_worldcover
from factory_pipeline.worker_pool import WorkerPool

DEFAULT_SEED = 22
"""The landscape of the demo."""

Progress = Callable[[str, float], None]
"""Called with what is being made, and the fraction of the archive that is done."""

_Job = tuple[str, Callable[[], Any]]


@dataclass(frozen=True)
class ArchiveSummary:
    """The contents of an archive."""

    root: Path
    granules: int
    usable_footprints: int
    """Footprints that pass the default quality rules."""
    sentinel2_products: int
    dem_tiles: int
    worldcover_tiles: int
    files: int
    bytes: int

    def __str__(self) -> str:
        return (
            f"Sample archive in {self.root} ({self.bytes / 1e6:.0f} MB):"
            f" {count_noun(self.granules, 'granule')} with "
            f"{self.usable_footprints} footprints of good quality, {self.sentinel2_products} Sentinel-2 "
            f"products, {self.dem_tiles} CopDEM and {self.worldcover_tiles} WorldCover tiles."
        )


@dataclass(frozen=True)
class _Group:
    """The usable footprints of one granule in one UTM zone, and the acquisitions around them."""

    sites: Sites
    products: tuple[SyntheticProduct, ...]


def make_archive(
    output: Path,
    granules: Path | None = None,
    seed: int = DEFAULT_SEED,
    on_progress: Progress | None = None,
    *,
    plan: ArchivePlan = DEMO_PLAN,
    gedi_products: Sequence[ProductName] = (),
    workers: int = 2,
) -> ArchiveSummary:
    """Make `granules/*.h5`, `rasters/`, `uploads/`, `releases/` and `stac/catalog.json` under `output`.

    The rasters have full grids, but only the blocks near usable footprints hold data. The same seed, plan and
    granules give the same bytes.

    Args:
        output: the archive's folder; made where it isn't there.
        granules: a folder of real GEDI L4A granules to copy in, around whose footprints the imagery is made;
            None makes the granules of `plan`.
        seed: decides the landscape and its noise.
        on_progress: told what is being made and the fraction done.
        plan: the overpasses and acquisitions, where no granules are given.
        gedi_products: granules of L2A, L2B and L4C are made too, of the shots of each granule of L4A.
        workers: processes; with 1 all is done in this one.

    Raises:
        GranuleError: `granules` contains no granule, or none has a footprint that passes the quality rules.
    """
    report = on_progress or (lambda _stage, _fraction: None)
    world = World(seed)
    with _pool(workers) as pool:
        report("GEDI granules", 0.0)
        if granules is None:
            writing = [
                ("GEDI", partial(write_granule, output / "granules", world, it)) for it in plan.overpasses
            ]
            paths = [path for _, path in _run(pool, writing)]
            visits = [overpass.visits for overpass in plan.overpasses]
        else:
            paths = _copy_granules(granules, output / "granules")
            visits = [GRANULE_VISITS[number % len(GRANULE_VISITS)] for number in range(len(paths))]
        list(_run(pool, [("GEDI", partial(write_partner_granules, path, gedi_products)) for path in paths]))
        groups = list(_groups(paths, visits))
        if not groups:
            raise GranuleError(
                f"No granule in {output / 'granules'} has a footprint that passes the quality rules."
            )
        sites = Sites(
            np.concatenate([group.sites.lon for group in groups]),
            np.concatenate([group.sites.lat for group in groups]),
        )
        rasters = output / "rasters"
        jobs = [*_raster_jobs(world, rasters, sites), *_product_jobs(world, rasters / SENTINEL2, groups)]
        fractions: dict[str, ClassFractions] = {}
        for number, (stage, result) in enumerate(_run(pool, jobs)):
            fractions |= result or {}
            report(stage, 0.1 + 0.9 * (number + 1) / (len(jobs) + 1))

    products = sorted((product for group in groups for product in group.products), key=lambda it: it.item_id)
    items: list[Json] = [sentinel2_item(product, fractions[product.item_id]) for product in products]
    items += [dem_item(tile) for tile in dem_tiles(sites)]
    items += [worldcover_item(tile, year) for tile in worldcover_tiles(sites) for year in WORLDCOVER_VERSIONS]
    make_uploads(output / "uploads", seed)
    make_releases(output / "releases", seed)
    write_catalog(output / "stac", items)
    report("STAC catalog", 1.0)

    files = [path for path in output.rglob("*") if path.is_file()]
    return ArchiveSummary(
        root=output,
        granules=len(paths) * (1 + len(gedi_products)),
        usable_footprints=len(sites),
        sentinel2_products=len(products),
        dem_tiles=len(dem_tiles(sites)),
        worldcover_tiles=len(worldcover_tiles(sites)) * len(WORLDCOVER_VERSIONS),
        files=len(files),
        bytes=sum(path.stat().st_size for path in files),
    )


def _copy_granules(source: Path, target: Path) -> list[Path]:
    found = sorted(source.glob("GEDI04_A_*.h5"))
    if not found:
        raise GranuleError(f"The folder {source} holds no GEDI L4A granule (GEDI04_A_*.h5).")
    target.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copyfile(path, target / path.name)) for path in found]


def _groups(paths: Sequence[Path], visits: Sequence[tuple[Visit, ...]]) -> Iterator[_Group]:
    """Yield the footprints of each granule by UTM zone, each with its products."""
    key = 0
    for path, granule_visits in zip(paths, visits, strict=True):
        footprints = usable_footprints(path)
        sites = Sites(footprints["lon"].to_numpy(), footprints["lat"].to_numpy())
        zones = utm_epsg(sites.lon, sites.lat)
        for epsg in np.unique(zones).tolist():
            in_zone = zones == epsg
            here = sites[in_zone]
            overpass = GEDI_EPOCH + timedelta(
                seconds=float(footprints["delta_time"].to_numpy()[in_zone].mean())
            )
            x, y = to_utm(epsg, here.lon, here.lat)
            tiles = tiles_holding(epsg, x, y, HALF_WINDOW)
            western = int(np.argsort(here.lon, kind="stable")[len(here) // 4])
            bank = (float(here.lon[western]), float(here.lat[western]))
            products = []
            for visit in granule_visits:
                time = sensing_time(overpass, bank[0], visit.days)
                products += [SyntheticProduct(visit, time, tile, key, bank) for tile in tiles]
                key += 1
            yield _Group(here, tuple(products))


def _product_jobs(world: World, folder: Path, groups: Sequence[_Group]) -> Iterator[_Job]:
    """Yield a job per granule and tile: its products share the computed ground."""
    for group in groups:
        for tile in sorted({product.tile for product in group.products}):
            products = [product for product in group.products if product.tile == tile]
            yield f"Sentinel-2 {tile.name}", partial(write_products, world, folder, products, group.sites)


def _raster_jobs(world: World, folder: Path, sites: Sites) -> Iterator[_Job]:
    for tile in worldcover_tiles(sites):
        yield "WorldCover", partial(write_worldcover, world, folder / WORLDCOVER, tile, sites)
    for degree in dem_tiles(sites):
        yield "Copernicus DEM", partial(write_dem, world, folder / COPDEM, degree, sites)


def _pool(workers: int) -> AbstractContextManager[Executor | None]:
    """Processes; they are spawned, as threads that a caller runs don't survive a fork."""
    return nullcontext() if workers == 1 else WorkerPool(workers)


def _run(pool: Executor | None, jobs: Sequence[_Job]) -> Iterator[tuple[str, Any]]:
    """Yield what is made by each job and its result, in the jobs' order."""
    if pool is None:
        yield from ((stage, job()) for stage, job in jobs)
    else:
        futures = [(stage, pool.submit(job)) for stage, job in jobs]
        yield from ((stage, future.result()) for stage, future in futures)
