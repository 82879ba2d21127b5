"""Growth: what a footprint costs in builds of 1,000, 10,000 and 100,000 footprints, by stage.

The footprints of a build are a first part of the same archive, so that a batch is always as dense. Three
bands are read instead of eleven: the growth of the cost is asked for, not its height.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from benchmarks.archive import Density, make_archive
from benchmarks.link import ArchiveServer, Link
from benchmarks.measure import run_alone
from benchmarks.report import Row, main, table
from factory_pipeline.builds.extraction import BatchExtraction
from factory_pipeline.builds.gedi.plan_batches import plan_batches
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe, Sentinel2
from factory_pipeline.hdf5.fuse import fuse_datasets
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline.stac.search_cache import find_products
from factory_pipeline.stac.select_products import choose_products

SIZES = (1_000, 10_000, 100_000)
PRODUCTS, BLOCKS = 10, 4
RECIPE = Recipe(sentinel2=Sentinel2(bands=("B02", "B8A", "B11")), batch_size=1000)
STAGES = ("plan", "search and join", "extraction", "batch files", "fuse")
Seconds = dict[str, float]
"""CPU by stage."""


def benchmark(scale: float) -> list[str]:
    """The table; `scale` changes the sizes of the builds."""
    sizes = [max(100, round(size * scale)) for size in SIZES]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        archive = root / "archive"
        footprints = make_archive(archive, Density("growth", sizes[-1], BLOCKS, PRODUCTS))
        with ArchiveServer(archive, Link()) as server:
            rows = [build_row(root, server.stac_url, footprints.head(size)) for size in sizes]
    columns = (
        "footprints",
        *(f"{stage}, CPU us" for stage in STAGES),
        "in all, CPU us",
        "in all, us",
        "times the first",
        "peak MB",
    )
    first = float(str(rows[0][-2]))
    shown = [(*row[:-1], float(str(row[-2])) / first, row[-1]) for row in rows]
    return [table("Growth: cost per footprint", columns, shown)]


def build_row(root: Path, stac_url: str, footprints: pl.DataFrame) -> Row:
    """The cost of a footprint in a build of all of these, in microseconds."""
    size = footprints.height
    path = root / f"{size}.parquet"
    footprints.write_parquet(path)
    run = run_alone(build, stac_url, path, root / f"build_{size}")
    seconds: Seconds = run.result
    by_stage = [1e6 * seconds[stage] / size for stage in STAGES]
    return (size, *by_stage, 1e6 * run.cpu_s / size, 1e6 * run.seconds / size, run.peak_bytes / 1e6)


def build(stac_url: str, footprints: Path, output: Path) -> Callable[[], Seconds]:
    """Prepare a build; the work runs its stages batch after batch and gives their CPU seconds."""
    settings = BuildSettings(granules="unused", output=output, catalog=stac_url, recipe=RECIPE)
    table_of_all, catalog, files = pl.read_parquet(footprints), open_catalog(stac_url), settings.files
    seconds: Seconds = defaultdict(float)

    @contextmanager
    def counted(stage: str) -> Iterator[None]:
        began = time.process_time()
        yield
        seconds[stage] += time.process_time() - began

    def work() -> Seconds:
        with counted("plan"):
            plan = plan_batches({"train": table_of_all}, RECIPE)
            plan.save(files.batch_plan)
        extraction = BatchExtraction(settings)
        accepted = []
        for key in plan.keys:
            with counted("search and join"):
                batch = extraction.plan.batch(key)
                found = find_products(catalog, batch, RECIPE.sentinel2, files.items)
                choose_products(batch, found.products, RECIPE.sentinel2, RECIPE.window_size)
            with counted("extraction"):
                extraction.sentinel2(key)
                extraction.copdem(key)
                extraction.worldcover(key)
            with counted("batch files"):
                accepted.append(extraction.dataset(key).accepted)
        with counted("fuse"):
            fuse_datasets(
                [files.batch(key) for key in plan.keys], files.fused("train"), RECIPE, "train", accepted
            )
        return dict(seconds)

    return work


if __name__ == "__main__":
    main(benchmark, __doc__)
