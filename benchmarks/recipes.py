"""Datasets of recipes against rslearn; the arrays alone; memory by the number of dates and of windows."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.link import ArchiveServer, Link
from benchmarks.measure import Prepare, Run, Work, median_run, run_alone
from benchmarks.other_python import find_python, prepare_script
from benchmarks.recipe_archive import (
    LANDSAT,
    SENTINEL1,
    SENTINEL2,
    SENTINEL2_BANDS,
    Case,
    make_recipe_archive,
    side_of,
    windows_for_peers,
)
from benchmarks.report import Row, main, met, table
from factory_pipeline.builds.dataset_extraction import DatasetExtraction, choose_for, requests_of
from factory_pipeline.builds.dataset_plan import (
    plan_dataset,
    read_labels,
    windows_of,
)
from factory_pipeline.builds.labels.label_table import RejectLedger
from factory_pipeline.builds.labels.label_windows import grids_of
from factory_pipeline.builds.rasters.read_source import read_source
from factory_pipeline.builds.rasters.source_layer import layers_of
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.malloc_arenas import limit_arenas
from factory_pipeline.stac.providers import open_catalog

LATENCY_S = 0.03
REPEATS = 3
CASES = (
    Case("32 px, one date", 1000, 32, 1, (SENTINEL2_BANDS,), scale_factor=4),
    Case("256 px, 12 periods, 3 sensors", 200, 256, 12, (SENTINEL2, SENTINEL1, LANDSAT)),
)
MEMORY_SIZES = ((12, 32), (120, 32), (1200, 32), (12, 320))
"""Dates and windows of the composites whose memory is measured: many times as many of either."""
COMPOSITES = ("mean", "median")
RSLEARN, ODC_STAC, LAZYCOGS = "RSLEARN_PYTHON", "ODC_STAC_PYTHON", "LAZYCOGS_PYTHON"
ASYNC_GEOTIFF, RASTERET = "ASYNC_GEOTIFF_PYTHON", "RASTERET_PYTHON"
"""Variables that name an interpreter which has the peer, such as one of another environment."""
GOAL_RSLEARN, GOAL_ARRAYS, GOAL_PEAK_MB = 20, 4, 1000
OURS, OURS_ARRAYS = "create-dataset", "read_source, arrays alone"


@dataclass(frozen=True)
class Contestant:
    """Someone who makes the samples of a case."""

    name: str
    prepare: Prepare
    arguments: Sequence[object]
    repeats: int = 1
    """Peers run once: they take minutes, and what differs is many times what two runs differ by."""


def benchmark(scale: float) -> list[str]:
    """The tables; `scale` changes the number of windows and their ground."""
    datasets: list[Row] = []
    arrays: list[Row] = []
    for whole in CASES:
        share = min(1.0, whole.scale_factor * scale)
        case = whole.scaled(share)
        with _served(case, share) as (recipe, url, windows):
            made = [Contestant(OURS, build_dataset, (recipe, url), REPEATS)]
            if python := find_python(RSLEARN, "rslearn"):
                script = (python, "rslearn_windows.py", str(windows))
                made.append(Contestant("rslearn, prepare + materialize", prepare_script, script))
            datasets += _rows(case, _race(made), OURS, GOAL_RSLEARN)
            read = [Contestant(OURS_ARRAYS, read_arrays, (recipe, url), REPEATS)]
            if python := find_python(ODC_STAC, "odc.stac"):
                script = (python, "odc_stac_arrays.py", str(windows))
                read.append(Contestant("odc-stac, window by window", prepare_script, script))
            if python := find_python(ASYNC_GEOTIFF, "async_geotiff"):
                script = (python, "async_geotiff_arrays.py", str(windows))
                read.append(Contestant("async-geotiff, pixels as they are", prepare_script, script))
            if python := find_python(LAZYCOGS, "lazycogs"):
                script = (python, "lazycogs_arrays.py", str(windows))
                read.append(Contestant("lazycogs, window by window", prepare_script, script))
            if python := find_python(RASTERET, "rasteret"):
                script = (python, "rasteret_arrays.py", str(windows))
                read.append(Contestant("rasteret, pixels as they are", prepare_script, script))
            arrays += _rows(case, _race(read), OURS_ARRAYS, GOAL_ARRAYS)
    return [
        table("Datasets of recipes at 30 ms", _columns("times its CPU", GOAL_RSLEARN), datasets),
        table("The arrays alone, items known, at 30 ms", _columns("times its CPU", GOAL_ARRAYS), arrays),
        _memory(scale),
    ]


@contextmanager
def _served(case: Case, scale: float) -> Iterator[tuple[DatasetRecipe, str, Path]]:
    """A case's recipe, the address of its catalog, and the file of its windows."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "archive")
        root.mkdir()
        recipe = make_recipe_archive(root, case, side_of(scale))
        ledger = RejectLedger()
        windows, _ = windows_of(read_labels(recipe, ledger), recipe, ledger)
        with ArchiveServer(root, Link(LATENCY_S)) as server:
            corners = list(windows.select("left", "top").iter_rows())
            path = Path(folder, "windows.json")
            windows_for_peers(path, server.stac_url, case, corners, recipe)
            yield recipe, server.stac_url, path


def build_dataset(recipe: DatasetRecipe, url: str) -> Work:
    """Return what makes the batch files of a dataset, from its labels on; it gives the number of samples."""
    # As `factory create-dataset` does, whose process this stands for.
    limit_arenas()

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            settings = DatasetSettings(recipe=recipe, output=Path(folder), catalog=url)
            extraction = DatasetExtraction(settings)
            plan = plan_dataset(settings, extraction.catalog.provider.digest())
            return sum(extraction.extract(batch).accepted for batch in plan.keys)

    return work


def read_arrays(recipe: DatasetRecipe, url: str) -> Work:
    """Return what reads the arrays of a dataset; its labels and items are known before."""
    catalog = open_catalog(url, requests=requests_of(recipe))
    with tempfile.TemporaryDirectory() as folder:
        settings = DatasetSettings(recipe=recipe, output=Path(folder), catalog=url)
        plan = plan_dataset(settings, catalog.provider.digest())
    batches = [plan.batch(key) for key in plan.keys]
    parts = [
        (layer, grids_of(labels, layer.size, layer.pixel_size), choose_for(layer, labels, catalog)[0])
        for labels in batches
        for layer in layers_of(recipe)
    ]
    reader = BlockReader()
    return lambda: sum(read_source(*part, reader).values.size for part in parts)


def _race(entered: Sequence[Contestant]) -> dict[str, Run]:
    """The medians of each contestant."""
    return {
        it.name: median_run([run_alone(it.prepare, *it.arguments) for _ in range(it.repeats)])
        for it in entered
    }


def _columns(times: str, goal: int) -> list[str]:
    return [
        "windows",
        "how",
        "CPU s",
        "CPU ms per window",
        times,
        f"goal {goal} x",
        "seconds",
        "peak MB",
        f"goal {GOAL_PEAK_MB:,} MB",
    ]


def _rows(case: Case, found: Mapping[str, Run], ours: str, goal: int) -> list[Row]:
    rows: list[Row] = []
    for name, run in found.items():
        times = run.cpu_s / found[ours].cpu_s
        peak = run.peak_bytes / 1e6
        rows.append(
            (
                f"{case.windows:,} of {case.name}",
                name,
                run.cpu_s,
                1000 * run.cpu_s / case.windows,
                times,
                None if name == ours else met(times >= goal),
                run.seconds,
                peak,
                met(peak <= GOAL_PEAK_MB) if name == ours else None,
            )
        )
    return rows


def _memory(scale: float) -> str:
    rows: list[Row] = []
    for composite in COMPOSITES:
        for dates, windows in MEMORY_SIZES:
            case = Case(f"composite ({composite})", windows, 256, dates, (SENTINEL2,), composite)
            case = case.scaled(scale)
            with _served(case, scale * windows / 128) as (recipe, url, _):
                run = run_alone(build_dataset, recipe, url)
            rows.append((composite, dates, case.windows, run.cpu_s, run.peak_bytes / 1e6))
    columns = ["composite", "dates", "windows of 256 px", "CPU s", "peak MB"]
    return table("Memory by the number of dates and windows", columns, rows)


if __name__ == "__main__":
    main(benchmark, __doc__)
