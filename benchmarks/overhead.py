"""Overhead: the CPU that is not work: of short commands, of a run that does nothing, and of a build."""

import compileall
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import dagster as dg

import factory_pipeline
from benchmarks.measure import run_alone
from benchmarks.million_footprints import COMMAND, measured_build, samples_of
from benchmarks.report import Row, main, met, table
from factory_pipeline.builds import footprint_stages
from factory_pipeline.builds.extraction import BatchExtraction
from factory_pipeline.builds.gedi.batches import CatalogKey
from factory_pipeline.builds.summary import fuse_build
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.datalake.ingest.from_build import collect_build
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.hdf5.preview import chip_sheet
from factory_pipeline.hdf5.verify import check_dataset, check_schema, check_unique_shots
from factory_pipeline.orchestration.builds.dataset import PREVIEW_BYTES
from factory_pipeline.runs.instance import open_instance, prepare_home
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline.storage.layout import FactoryHome

READING = (["dataset", "list"], ["collection", "list"], ["upload", "list"], ["--help"])
READING_GOAL_S = 0.5
RUN_GOAL_S = 1.0
BUILD_GOAL = 0.8
FOOTPRINTS = 2_000
REPEATS, RUNS = 5, 5


def benchmark(scale: float) -> list[str]:
    """The tables; `scale` changes the size of the build."""
    # As an installer leaves the package; else each process would compile it again.
    compileall.compile_dir(Path(factory_pipeline.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        footprints = max(200, round(FOOTPRINTS * scale))
        return [short(root / "short"), build(root / "build", footprints)]


def short(root: Path) -> str:
    """Commands that read, and a run that does nothing."""
    home = FactoryHome(root)
    Registry.open(home.registry)
    rows: list[Row] = []
    for arguments in READING:
        cpu_s = min(command_cpu_s(home, *arguments) for _ in range(REPEATS))
        rows.append((f"factory {' '.join(arguments)}", cpu_s, READING_GOAL_S, met(cpu_s <= READING_GOAL_S)))
    cpu_s = run_alone(running, root).cpu_s / RUNS
    rows.append(("a run of one asset that does nothing", cpu_s, RUN_GOAL_S, met(cpu_s <= RUN_GOAL_S)))
    return table("Short work", ("what", "CPU s", "goal", ""), rows)


def build(root: Path, footprints: int) -> str:
    """A build by the command, and the same work in one process that has imported all."""
    whole = measured_build(root, footprints, Recipe())
    work = run_alone(working, root, root / "again")
    share = work.cpu_s / whole.cpu_s
    columns = ("footprints", "CPU s of the command", "CPU s of its work", "share of work", "goal", "")
    row: Row = (footprints, whole.cpu_s, work.cpu_s, share, BUILD_GOAL, met(share >= BUILD_GOAL))
    return table("A build by `factory create-dataset`", columns, [row])


def command_cpu_s(home: FactoryHome, *arguments: str) -> float:
    """CPU seconds of a command in a home, user and system.

    Raises:
        SystemExit: the command failed.
    """
    before = os.times()
    command = [sys.executable, "-c", COMMAND, *arguments]
    environment = {**os.environ, "FACTORY_HOME": str(home.root)}
    if subprocess.run(command, env=environment, capture_output=True, check=False).returncode:
        raise SystemExit(f"factory {' '.join(arguments)} failed.")
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def running(root: Path) -> Callable[[], None]:
    """Prepare runs of an asset that does nothing, on the instance of a home; the first is not measured."""

    @dg.asset
    def nothing() -> None: ...

    home = FactoryHome(root)
    prepare_home(home)

    def execute(runs: int) -> None:
        with open_instance(home) as instance:
            for _ in range(runs):
                assert dg.materialize([nothing], instance=instance).success

    execute(1)
    return lambda: execute(RUNS)


def working(root: Path, output: Path) -> Callable[[], None]:
    """Prepare the work of a build that was made below `root`, without Dagster: stages, checks, previews.

    What the stages import when they need it is imported before.
    """
    for name in ("factory_pipeline.builds.gedi.plots", "scipy.sparse.csgraph"):
        import_module(name)
    settings = BuildSettings(
        granules=str(root / "archive" / "granules"),
        output=output,
        catalog=str(root / "archive" / "stac"),
        recipe=Recipe(),
    )
    home = FactoryHome(output / "home")
    provider = open_catalog(settings.catalog).provider

    def work() -> None:
        footprint_stages.aggregate(settings, on_granule=lambda _: None)
        footprint_stages.filter_by_quality(settings)
        plan = footprint_stages.plan_subset(settings, CatalogKey(provider.name, provider.digest()))
        extraction = BatchExtraction(settings)
        for key in plan.keys:
            extraction.sentinel2(key)
            extraction.copdem(key)
            extraction.worldcover(key)
            extraction.dataset(key)
            list(check_dataset(settings.files.batch(key)))
            chip_sheet(settings.files.batch(key), max_bytes=PREVIEW_BYTES)
        fuse_build(settings, on_split=lambda _: None)
        fused = [settings.files.fused(split) for split in settings.recipe.splits]
        for file in fused:
            check_schema(file)
            check_unique_shots(file)
            if samples_of(file):
                chip_sheet(file, max_bytes=PREVIEW_BYTES)
        collect_build(Registry.open(home.registry), home, fused)

    return work


if __name__ == "__main__":
    main(benchmark, __doc__)
