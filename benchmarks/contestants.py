"""Ways to read the windows of a batch that the pipeline's own code can take: its engine, and GDAL by groups.

Each is prepared in its process and then run once, with nothing cached: searches, headers, blocks.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from factory_pipeline.builds.batch_sources import headers_needed, search_sources
from factory_pipeline.builds.chips.landcover import extract_landcover
from factory_pipeline.builds.chips.sentinel2 import extract_sentinel2
from factory_pipeline.builds.chips.terrain import extract_terrain
from factory_pipeline.builds.chips.windows import window_grids
from factory_pipeline.builds.gedi.granules import exact_time
from factory_pipeline.builds.open_reader import KEPT_SHARE, open_reader
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, WindowRead, WindowReader
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.stac.providers import Catalog, open_catalog
from factory_pipeline.stac.select_products import choose_products
from factory_pipeline.stac.tiles import find_tiles
from factory_pipeline.worker_pool import WorkerPool

PROCESSES = 2
BYTES_IN_FLIGHT = 256 * 2**20
DAY_S = 86_400


def block_engine(stac_url: str, footprints: Path) -> Callable[[], int]:
    """The pipeline in one process, batch after batch; gives the number of samples."""
    parts = batches(pl.read_parquet(footprints))
    _warm_up(stac_url, parts[0])
    catalog = open_catalog(stac_url)
    reader = _open_reader(catalog)
    return lambda: extract(catalog, parts, reader)


def block_engine_in_processes(stac_url: str, footprints: Path) -> Callable[[], int]:
    """The pipeline as a build runs it: a process for each batch at a time."""
    parts = batches(pl.read_parquet(footprints))
    # What is started and imported is not measured.
    pool = WorkerPool(PROCESSES)
    list(pool.map(_warm_up, [stac_url] * PROCESSES, parts))

    def work() -> int:
        with pool:
            return sum(pool.map(_extract_in_process, [stac_url] * len(parts), parts))

    return work


def batches(footprints: pl.DataFrame) -> list[pl.DataFrame]:
    """As many batches as processes, each near in time and space, as a build plans them."""
    ordered = footprints.sort(pl.col("delta_time") // DAY_S, "lon_lowestmode")
    size = -(-ordered.height // PROCESSES)
    return [ordered.slice(first, size) for first in range(0, ordered.height, size)]


def _warm_up(stac_url: str, batch: pl.DataFrame) -> None:
    """Import and set up what the first footprint of a process needs; nothing is kept of it."""
    _extract_in_process(stac_url, batch.tail(1))
    time.sleep(1)  # so that no process takes the other's turn


def _extract_in_process(stac_url: str, batch: pl.DataFrame) -> int:
    catalog = open_catalog(stac_url)
    return extract(catalog, [batch], _open_reader(catalog))


def _open_reader(catalog: Catalog) -> BlockReader:
    """As a build opens it."""
    return open_reader(catalog, BYTES_IN_FLIGHT, BYTES_IN_FLIGHT // KEPT_SHARE)


def grouped_rasterio(stac_url: str, footprints: Path) -> Callable[[], int]:
    """The pipeline with GDAL as its reader: each file is opened once, its windows read one by one."""
    catalog, table, reader = open_catalog(stac_url), pl.read_parquet(footprints), RasterioReader()
    return lambda: extract(catalog, [table], reader)


def reads_of_engine(stac_url: str, footprints: Path) -> Callable[[], list[WindowRead]]:
    """All windows that the pipeline reads for the footprints."""
    catalog = open_catalog(stac_url)
    reader = _Recorder(_open_reader(catalog))
    parts = batches(pl.read_parquet(footprints))

    def work() -> list[WindowRead]:
        extract(catalog, parts, reader)
        return reader.reads

    return work


def extract(catalog: Catalog, parts: Sequence[pl.DataFrame], reader: WindowReader) -> int:
    """What `builds.extraction` does for batches, without the files between its stages."""
    with tempfile.TemporaryDirectory() as answers:
        return sum(_extract_batch(catalog, part, reader, Path(answers)) for part in parts)


def _extract_batch(catalog: Catalog, footprints: pl.DataFrame, reader: WindowReader, answers: Path) -> int:
    recipe = Recipe()
    sources = search_sources(catalog, footprints, recipe, answers)
    choices = choose_products(footprints, sources.products.products, recipe.sentinel2, recipe.window_size)
    reader.read_headers(headers_needed(choices, sources.tiles, recipe))
    windows = extract_sentinel2(footprints, choices, reader, recipe).table
    grids = window_grids(windows, recipe.window_size)
    tiles = find_tiles(catalog, "copdem", grids, None, answers)
    copdem = extract_terrain(windows, tiles.windows, reader, recipe, tiles.gaps).table
    times = windows.join(footprints, on="shot_number", how="left", maintain_order="left")["delta_time"]
    years = [exact_time(seconds).year for seconds in times]
    tiles = find_tiles(catalog, "worldcover", grids, years, answers)
    worldcover = extract_landcover(windows, tiles.windows, reader, recipe, tiles.gaps)
    return copdem.join(worldcover.table, on="shot_number").height


class _Recorder(WindowReader):
    def __init__(self, reader: WindowReader) -> None:
        self._reader = reader
        self.reads: list[WindowRead] = []

    def read(self, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
        self.reads += reads
        return self._reader.read(reads)
