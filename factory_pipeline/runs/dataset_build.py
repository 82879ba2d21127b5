"""Drives the build of a recipe's dataset through Dagster, as `runs.build` does that of the GEDI dataset."""

from collections.abc import Callable

from factory_pipeline.builds.dataset_extraction import requests_of
from factory_pipeline.builds.dataset_losses import forget_lost
from factory_pipeline.builds.dataset_plan import StoredDatasetPlan
from factory_pipeline.builds.dataset_summary import DatasetBuildSummary
from factory_pipeline.builds.output_folder import check_is_own
from factory_pipeline.builds.progress import (
    BuildProgress,
    CatalogWait,
    progress_of_last_stages,
    reporting,
    waiting_for,
)
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.errors import BuildError, CatalogError
from factory_pipeline.runs.build import (
    EXTRACT_RECIPE,
    FUSE_RECIPE,
    PLAN_RECIPE,
    check_output,
    neighbouring_ranges,
    run_ranges,
    run_stage,
)
from factory_pipeline.runs.failures import DOING
from factory_pipeline.runs.instance import open_instance, prepare_home
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline.storage.layout import FactoryHome


def build_recipe(
    home: FactoryHome, settings: DatasetSettings, on_progress: Callable[[BuildProgress], None]
) -> DatasetBuildSummary:
    """Build the dataset of a recipe: labels, every missing batch, the fuse. Finished batches are kept.

    Args:
        home: where the build runs.
        settings: of the build.
        on_progress: called now and then with the progress.

    Raises:
        BuildError: a stage failed; the message says which and why.
        CatalogError: the catalog is not known.
    """
    check_output(settings.output)
    check_is_own(settings.files, settings.recipe.name)
    _probe(settings, on_progress)
    prepare_home(home)
    settings.save(home)
    name = settings.recipe.name
    _register(home, name)
    with reporting(lambda: on_progress(BuildProgress("Reading the labels"))):
        run_stage(home, PLAN_RECIPE, name)
    plan = StoredDatasetPlan(settings.files.batch_plan)

    def report_extraction() -> None:
        on_progress(_progress_of_plan(settings, plan))

    with reporting(report_extraction):
        try:
            _extract_missing(home, settings, plan)
        except BuildError:
            # The command has to be run again anyway: what was lost to catalog or archive is tried again too.
            forget_lost(settings, plan)
            raise
    report_extraction()
    first = DOING[FUSE_RECIPE[0]]
    with reporting(lambda: on_progress(progress_of_last_stages(settings.files, first, DOING))):
        run_stage(home, FUSE_RECIPE, name)
    return DatasetBuildSummary.load(settings.files.summary)


def _probe(settings: DatasetSettings, on_progress: Callable[[BuildProgress], None]) -> None:
    """Ask the catalog once, before anything is written; a build that has its answers may not need it."""
    requests = requests_of(settings.recipe)
    open_catalog(settings.catalog, requests=requests)
    if any(settings.files.items.glob("*.json")):
        return
    wait = CatalogWait(settings.catalog_patience_s)
    with reporting(lambda: on_progress(BuildProgress(str(wait)))):
        try:
            open_catalog(settings.catalog, settings.catalog_patience_s, wait.note, requests).probe()
        except CatalogError as error:
            raise BuildError(f"{error} Nothing was begun.") from error


def _register(home: FactoryHome, name: str) -> None:
    from factory_pipeline.orchestration.partitions import RECIPE_BUILDS

    with open_instance(home) as instance:
        instance.add_dynamic_partitions(RECIPE_BUILDS, [name])


def _extract_missing(home: FactoryHome, settings: DatasetSettings, plan: StoredDatasetPlan) -> None:
    from factory_pipeline.orchestration.builds.recipe_dataset import SEPARATOR
    from factory_pipeline.orchestration.partitions import RECIPE_BATCHES

    missing = [
        f"{settings.recipe.name}{SEPARATOR}{key}"
        for key in plan.keys
        if not settings.files.batch(key).exists()
    ]
    with open_instance(home) as instance:
        registered = list(instance.get_dynamic_partitions(RECIPE_BATCHES))
    ranges = neighbouring_ranges(missing, registered, settings.workers)
    run_ranges(home, EXTRACT_RECIPE, ranges, settings.workers)


def _progress_of_plan(settings: DatasetSettings, plan: StoredDatasetPlan) -> BuildProgress:
    files, sizes = settings.files, plan.sizes
    done = [key for key in plan.keys if files.batch(key).exists()]
    windows = sum(sizes[key] for key in done)
    return BuildProgress(
        "Extracting windows" + waiting_for(files),
        done=windows,
        total=plan.footprints,
        batches_done=len(done),
        batches=len(plan.keys),
        fraction=windows / max(plan.footprints, 1),
        unit="windows",
    )
