"""Drives a whole build through Dagster: the same assets and the same instance that the web UI shows.

No stock command runs unpartitioned, then partitioned, then unpartitioned assets where the partitions are
created midway; this module does, with a process per range of batches.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from factory_pipeline.builds.gedi.batches import StoredPlan
from factory_pipeline.builds.gedi.granules import list_granules
from factory_pipeline.builds.lost_footprints import Losses
from factory_pipeline.builds.output_folder import check_is_own
from factory_pipeline.builds.plan_keys import PlanKeys
from factory_pipeline.builds.progress import (
    BuildProgress,
    CatalogWait,
    progress_before_plan,
    progress_of_last_stages,
    progress_of_plan,
    reporting,
)
from factory_pipeline.builds.summary import BuildSummary
from factory_pipeline.builds.training_upload import upload_splits
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.errors import BuildError, CatalogError
from factory_pipeline.fork_server import is_serving
from factory_pipeline.runs.failures import DOING, describe_failure
from factory_pipeline.runs.instance import (
    execute_job,
    load_definitions,
    open_instance,
    prepare_home,
    resources_of,
)
from factory_pipeline.runs.queued_runs import has_workers, run_on_workers
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline.storage.atomic import describe_refusal
from factory_pipeline.storage.folders import check_writable
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.worker_pool import WorkerPool

MOST_BATCHES_PER_RUN = 25
FOOTPRINTS_PER_PROCESS = 1_000
"""A new process takes two seconds of CPU time to start, in which as many are extracted."""
FOOTPRINTS_PER_FORK = 200
"""A process that is forked takes two tenths of a second."""
PREPARE = ("gedi_footprints", "quality_footprints", "footprint_subset")
EXTRACT = ("sentinel2_chips", "copdem_chips", "worldcover_chips", "batch_dataset")
FUSE = ("fused_dataset", "gedi_collection", "gedi_upload")
PLAN_RECIPE = ("recipe_labels",)
EXTRACT_RECIPE = ("recipe_samples",)
FUSE_RECIPE = ("recipe_dataset", "recipe_collection")
JOBS = {
    PREPARE: "build_dataset",
    EXTRACT: "extract_batches",
    FUSE: "fuse_dataset",
    PLAN_RECIPE: "plan_recipe",
    EXTRACT_RECIPE: "extract_recipe",
    FUSE_RECIPE: "fuse_recipe",
}
"""The job that a person would start in the web UI for these assets."""
DRIVER_TAG = "factory/driver"
"""Tag with the process that drives the build of a run."""


def run_build(
    home: FactoryHome, settings: BuildSettings, on_progress: Callable[[BuildProgress], None]
) -> BuildSummary:
    """Build the dataset: every stage, every missing batch, the fuse. Finished batches are not done again.

    Args:
        home: made where it does not exist.
        settings: of the whole build; stored in the home before the first stage.
        on_progress: called every few seconds with the state of all stages.

    Returns:
        The summary that the last stage wrote.

    Raises:
        BuildError: a stage failed; the message says which and why.
    """
    check_settings(settings)
    probe_catalog(settings, on_progress)
    prepare_home(home)
    settings.save(home)
    stage = "Reading granules, filtering, drawing the subset"
    with reporting(lambda: on_progress(progress_before_plan(stage, settings))):
        run_stage(home, PREPARE)
    plan = StoredPlan(settings.files.batch_plan)

    def report_extraction() -> None:
        on_progress(progress_of_plan("Extracting chips", settings, plan))

    with reporting(report_extraction):
        try:
            extract_missing(home, settings, plan)
        except BuildError:
            # The command has to be run again anyway: what was lost to catalog or archive is tried again too.
            Losses(settings, plan).remove_batches()
            raise
    report_extraction()
    with reporting(lambda: on_progress(progress_of_last_stages(settings.files, DOING[FUSE[0]], DOING))):
        run_stage(home, FUSE)
    return BuildSummary.load(settings.files.summary)


def probe_catalog(settings: BuildSettings, on_progress: Callable[[BuildProgress], None]) -> None:
    """Query the catalog once, so that an unavailable one is reported before the granules are read.

    A build with cached responses of its catalog continues with them, and may not need it at all.

    Args:
        settings: its `catalog` is asked.
        on_progress: called while the catalog does not answer, with how long is still waited.

    Raises:
        BuildError: the catalog does not answer for `catalog_patience_s`, or lacks a collection.
    """
    if any(settings.files.items.glob("*.json")):
        return
    wait = CatalogWait(settings.catalog_patience_s)
    with reporting(lambda: on_progress(progress_before_plan(str(wait), settings))):
        try:
            open_catalog(settings.catalog, settings.catalog_patience_s, wait.note).probe()
        except CatalogError as error:
            raise BuildError(f"{error} The build did not start.") from error


def check_settings(settings: BuildSettings) -> None:
    """Check the settings before anything is written, so that errors are reported early.

    Raises:
        FactoryError: the catalog is not known, there are no granules where some are needed, the output folder
            can't be written, or the recipe has splits that can't be onboarded though they are to be.
    """
    open_catalog(settings.catalog)
    if settings.onboard:
        upload_splits(settings.recipe)
    if settings.splits_from_granules:
        list_granules(settings.granules)
    check_output(settings.output)
    check_is_own(settings.files, None)


def check_output(output: Path) -> None:
    """Make the folder of a build's output.

    Raises:
        BuildError: it can't be written.
        StoreError: it is on a store that refuses or does not answer.
    """
    try:
        check_writable(output)
    except FileExistsError as error:
        raise BuildError(f"The output {output} is a file; name a folder.") from error
    except OSError as error:
        raise BuildError(f"The output folder {output} can't be written: {error.strerror}.") from error


def extract_missing(home: FactoryHome, settings: BuildSettings, plan: PlanKeys) -> None:
    """Extract the batches of the plan that have no file, in parallel runs.

    Args:
        home: of the build.
        settings: its `workers` is the most processes that work at the same time.
        plan: names all batches.

    Raises:
        BuildError: as `run_ranges`.
    """
    missing = [key for key in plan.keys if not settings.files.batch(key).exists()]
    workers = settings.workers
    if not has_workers(home):
        # Workers of a cluster run already, and each is to have its part.
        workers = processes_for(sum(plan.sizes[key] for key in missing), workers)
    run_ranges(home, EXTRACT, neighbouring_ranges(missing, _registered_batches(home), workers), workers)


def processes_for(footprints: int, most: int) -> int:
    """Return how many processes extract footprints.

    Args:
        footprints: that are not extracted yet.
        most: as many as the user allows.
    """
    worth_one = FOOTPRINTS_PER_FORK if is_serving() else FOOTPRINTS_PER_PROCESS
    return max(1, min(most, footprints // worth_one))


def run_ranges(
    home: FactoryHome, assets: tuple[str, ...], ranges: Sequence[tuple[str, ...]], workers: int
) -> None:
    """Materialise assets for ranges of batches, in as many processes as there are workers.

    Args:
        home: of the build.
        assets: their names; all are materialised for each batch.
        ranges: batches that are neighbours in the plan; each range is one run.
        workers: processes; 1 runs in the calling process.

    Raises:
        BuildError: a step failed, or a process was killed.
    """
    if not ranges:
        return
    if has_workers(home):
        run_on_workers(home, JOBS[assets], [_range_tags(batches) for batches in ranges])
        return
    if min(workers, len(ranges)) == 1:
        for batches in ranges:
            materialize(home, assets, batches)
        return
    pool = WorkerPool(min(workers, len(ranges)))
    try:
        runs: list[Future[None]] = [
            pool.submit(materialize, home, assets, batches, os.getpid()) for batches in ranges
        ]
        wait(runs)
        problems = [
            describe_refusal(error) or str(error) for run in runs if (error := run.exception()) is not None
        ]
    except BaseException:
        # Files are written atomically, so the workers need not finish their batches first.
        pool.kill()
        cancel_own_runs(home)
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    if any(isinstance(run.exception(), BrokenProcessPool) for run in runs):
        raise BuildError("A worker process was killed; run the same command again to continue.")
    if problems:
        raise BuildError(" ".join(dict.fromkeys(problems)))


def run_stage(home: FactoryHome, assets: tuple[str, ...], partition: str | None = None) -> None:
    """Materialise the assets of one of JOBS, in this process or on the workers that the home has.

    Args:
        home: of the build.
        assets: a key of JOBS.
        partition: the one key of assets that have a partition per build.

    Raises:
        BuildError: a step failed; the message is what the step said.
    """
    if has_workers(home):
        run_on_workers(home, JOBS[assets], [_partition_tags(partition)])
    else:
        materialize(home, assets, partition=partition)


def cancel_own_runs(home: FactoryHome) -> None:
    """Record the runs that this build has begun and not ended as cancelled."""
    import dagster as dg

    unfinished = dg.RunsFilter(
        tags={DRIVER_TAG: str(os.getpid())},
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING],
    )
    with open_instance(home) as instance:
        for run in instance.get_runs(unfinished):
            instance.report_run_canceled(run, "The build was interrupted.")


def neighbouring_ranges(
    missing: Sequence[str], registered: Sequence[str], workers: int
) -> list[tuple[str, ...]]:
    """Return batches in runs of neighbours, cut so that every worker has two runs to do or more.

    A run writes its dataset files at its end: with one run for all, none would be there until the last batch.

    Args:
        missing: keys of the batches.
        registered: all keys that Dagster knows, in its order.
        workers: processes that run at the same time.
    """
    size = max(1, min(MOST_BATCHES_PER_RUN, math.ceil(len(missing) / (2 * workers))))
    place = {key: number for number, key in enumerate(registered)}
    ranges: list[tuple[str, ...]] = []
    for key in sorted(missing, key=place.__getitem__):
        follows = ranges and place[key] == place[ranges[-1][-1]] + 1
        if follows and len(ranges[-1]) < size:
            ranges[-1] += (key,)
        else:
            ranges.append((key,))
    return ranges


def _registered_batches(home: FactoryHome) -> list[str]:
    from factory_pipeline.orchestration.partitions import BATCHES

    with open_instance(home) as instance:
        return list(instance.get_dynamic_partitions(BATCHES))


def materialize(
    home: FactoryHome,
    assets: tuple[str, ...],
    batches: Sequence[str] = (),
    driver: int | None = None,
    partition: str | None = None,
) -> None:
    """Materialise the assets of one of JOBS in this process, for a range of neighbouring batches if any.

    Args:
        home: where.
        assets: a key of JOBS.
        batches: the range, in the order in which Dagster knows the keys.
        driver: process id of the process that drives the build; this one if it is left out.
        partition: the one key of assets that have a partition per build.

    The run is tagged with the process that drives the build: this one, unless `driver` names another.

    Raises:
        BuildError: a step failed; the message is what the step said.
    """
    import dagster as dg

    tags = {DRIVER_TAG: str(driver or os.getpid()), **_partition_tags(partition), **_range_tags(batches)}
    with open_instance(home) as instance:
        result = execute_job(
            load_definitions().resolve_job_def(JOBS[assets]),
            instance,
            resources_of(home),
            asset_selection=[dg.AssetKey(name) for name in assets],
            tags=tags,
        )
    if not result.success:
        raise BuildError(describe_failure(result.run_id, result.all_events))


def _partition_tags(partition: str | None) -> dict[str, str]:
    return {} if partition is None else {"dagster/partition": partition}


def _range_tags(batches: Sequence[str]) -> dict[str, str]:
    if not batches:
        return {}
    return {
        "dagster/asset_partition_range_start": batches[0],
        "dagster/asset_partition_range_end": batches[-1],
    }
