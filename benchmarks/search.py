"""Finding the product of each footprint: a search each, against a search per cell and month and a join."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pystac_client import Client

from benchmarks.archive import FIRST_PASS, TILE, made_footprints
from benchmarks.link import ArchiveServer, Link
from benchmarks.measure import Run, interleaved, median_run, timed
from benchmarks.report import Row, main, table
from factory_pipeline.builds.gedi.granules import GEDI_EPOCH, exact_time
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.stac.providers import PLANETARY_COMPUTER, Catalog, open_catalog
from factory_pipeline.stac.search_cache import find_products, product_searches
from factory_pipeline.stac.select_products import choose_products
from factory_pipeline.synthetic.mgrs import MgrsTile, to_lonlat
from factory_pipeline.synthetic.sentinel2 import SyntheticProduct, Visit
from factory_pipeline.synthetic.stac import sentinel2_item, write_catalog
from factory_pipeline_tests.stac.small_snapshots import columns_of, write_table

LATENCY_S = 0.03
DAYS = 90
"""Over which the footprints lie; there is an acquisition every five."""
FOOTPRINTS = 10_000
SEARCHED_EACH = 100
REPEATS = 3
SNAPSHOT = "sentinel-2-l2a.parquet"
TILES = [MgrsTile(TILE.epsg, TILE.column + east, TILE.row - south) for east in (0, 1) for south in (0, 1)]


def benchmark(scale: float) -> list[str]:
    """The table; `scale` changes the number of footprints."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        products = write_items(root)
        footprints = strewn(max(100, round(FOOTPRINTS * scale)))
        few = footprints.sample(min(SEARCHED_EACH, footprints.height), seed=0)
        cache = root / "cache"
        with ArchiveServer(root, Link(LATENCY_S)) as server:
            works: dict[str, tuple[int, Callable[[], Any]]] = {
                "a search per footprint": (few.height, partial(search_each, server.stac_url, few)),
                "a search per cell and month, and the join": (
                    footprints.height,
                    partial(search_cells, server.stac_url, footprints, None),
                ),
                "the same, answers kept from an earlier run": (
                    footprints.height,
                    partial(search_cells, server.stac_url, footprints, cache),
                ),
                "the join alone": (footprints.height, join_alone(server.stac_url, footprints)),
                "from the static catalog on disk, and the join": (
                    footprints.height,
                    partial(search_cells, str(root), footprints, None),
                ),
                "from a stac-geoparquet snapshot on disk, and the join": (
                    footprints.height,
                    partial(search_cells, str(root / SNAPSHOT), footprints, None),
                ),
            }
            search_cells(server.stac_url, footprints, cache)
            runs = interleaved({name: partial(timed, work) for name, (_, work) in works.items()}, REPEATS)
        rows = [row(name, works[name][0], median_run(measured)) for name, measured in runs.items()]
    searches = len(product_searches(footprints, Recipe().sentinel2))
    title = (
        f"Search at {1000 * LATENCY_S:.0f} ms: {footprints.height:,} footprints over {len(TILES)} tiles and"
        f" {DAYS} days, {products} products, {searches} searches by cell and month"
    )
    return [table(title, ("how", "footprints", "ms per footprint", "CPU ms per footprint"), rows)]


def row(name: str, footprints: int, run: Run) -> Row:
    """One way to search."""
    return name, footprints, 1000 * run.seconds / footprints, 1000 * run.cpu_s / footprints


def write_items(root: Path) -> int:
    """A catalog of acquisitions without their rasters, and a snapshot of it; gives their number."""
    products = [
        SyntheticProduct(
            Visit(0, float((7 * key) % 40)), FIRST_PASS + timedelta(days=5 * key), tile, key, None
        )
        for key in range(-3, DAYS // 5 + 4)
        for tile in TILES
    ]
    items = [sentinel2_item(product, {4: 1.0}) for product in products]
    write_catalog(root / "stac", items)
    write_table(root / SNAPSHOT, columns_of(items), rows_per_group=10_000)
    return len(products)


def strewn(count: int) -> pl.DataFrame:
    """Footprints over the four tiles and all days."""
    rng = np.random.default_rng(0)
    corner = TILE.grid(10)
    x, y = corner.left + rng.uniform(1e3, 1.9e5, count), corner.top - rng.uniform(1e3, 1.9e5, count)
    start = (FIRST_PASS - GEDI_EPOCH).total_seconds()
    return made_footprints(*to_lonlat(TILE.epsg, x, y), start + rng.uniform(0, DAYS * 86_400, count))


def search_each(stac_url: str, footprints: pl.DataFrame) -> list[Any]:
    """One search per footprint; the least cloudy item."""
    client, rules = Client.open(stac_url), Recipe().sentinel2
    span = timedelta(days=rules.max_days)
    chosen = []
    for delta_time, *place in footprints.select("delta_time", "lon_lowestmode", "lat_lowestmode").rows():
        time = exact_time(delta_time)
        search = client.search(
            collections=["sentinel-2-l2a"],
            bbox=(*place, *place),
            datetime=(time - span, time + span),
            query={"eo:cloud_cover": {"lt": rules.max_cloud_cover}},
        )
        chosen.append(min(search.items(), key=lambda item: item.properties["eo:cloud_cover"], default=None))
    return chosen


def search_cells(catalog: str, footprints: pl.DataFrame, cache: Path | None) -> Any:
    """What the pipeline does for a batch."""
    recipe = Recipe()
    found = find_products(opened(catalog), footprints, recipe.sentinel2, cache)
    return choose_products(footprints, found.products, recipe.sentinel2, recipe.window_size)


def opened(catalog: str) -> Catalog:
    """A catalog, of which nothing is read yet."""
    if not catalog.endswith(".parquet"):
        return open_catalog(catalog)
    snapshot = replace(PLANETARY_COMPUTER.source("sentinel2"), url=catalog)
    return Catalog(replace(PLANETARY_COMPUTER, sources={**PLANETARY_COMPUTER.sources, "sentinel2": snapshot}))


def join_alone(catalog: str, footprints: pl.DataFrame) -> Callable[[], Any]:
    """The join with products that are there already."""
    recipe = Recipe()
    products = find_products(open_catalog(catalog), footprints, recipe.sentinel2).products
    return lambda: choose_products(footprints, products, recipe.sentinel2, recipe.window_size)


if __name__ == "__main__":
    main(benchmark, __doc__)
