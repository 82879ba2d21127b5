"""What starts by itself for recipes: one that is dropped into the inbox, and each step of its build."""

import json
from collections.abc import Iterator

import dagster as dg

from factory_pipeline.builds.dataset_plan import StoredDatasetPlan
from factory_pipeline.builds.recipe_inbox import list_recipes
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.errors import FactoryError
from factory_pipeline.orchestration.builds.recipe_dataset import SEPARATOR
from factory_pipeline.orchestration.jobs import extract_recipe, fuse_recipe, plan_recipe, receive_recipe
from factory_pipeline.orchestration.partitions import RECIPE_BUILDS, RECIPES, recipes
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.plain_text import count_noun

MOST_RUNS_PER_TICK = 20
"""Dagster takes seconds to start a run, and no other sensor runs meanwhile."""


@dg.sensor(
    job=receive_recipe,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a build for each recipe that is dropped into FACTORY_HOME/inbox/recipes.",
)
def new_recipes(
    context: dg.SensorEvaluationContext, factory: FactoryResource
) -> dg.SensorResult | dg.SkipReason:
    """A recipe counts as there once it is the same on two looks: it may still be being copied."""
    inbox = factory.folder().recipe_inbox
    known = set(context.instance.get_dynamic_partitions(RECIPES))
    new = sorted(key for key in list_recipes(inbox) if key not in known)
    if not new:
        return dg.SkipReason(f"There is no new recipe in {inbox}.")
    seen = set(json.loads(context.cursor or "[]"))
    settled = [key for key in new if key in seen][:MOST_RUNS_PER_TICK]
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"recipe {key}", partition_key=key) for key in settled],
        dynamic_partitions_requests=[recipes.build_add_request(settled)] if settled else [],
        skip_reason=None if settled else f"{count_noun(len(new), 'new recipe')}; waiting until complete.",
        cursor=json.dumps(new),
    )


@dg.sensor(
    jobs=[plan_recipe, extract_recipe, fuse_recipe],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the next step of each build of a recipe from the inbox: plan, batches, dataset.",
)
def recipe_steps(context: dg.SensorEvaluationContext, factory: FactoryResource) -> dg.SensorResult:
    """Look at the runs of each build; a step that failed is started again by a person.

    A build that a command drives is left to it.
    """
    requests: list[dg.RunRequest] = []
    for name in context.instance.get_dynamic_partitions(RECIPE_BUILDS):
        try:
            settings = factory.dataset_settings(name)
        except FactoryError as error:
            context.log.warning(str(error))
            continue
        if settings.received is not None:
            requests += _next_runs(context.instance, settings, settings.received)
    started = requests[:MOST_RUNS_PER_TICK]
    return dg.SensorResult(
        run_requests=started,
        skip_reason=None if started else "Every step that can be started has been started.",
    )


def _next_runs(
    instance: dg.DagsterInstance, settings: DatasetSettings, received: str
) -> Iterator[dg.RunRequest]:
    """Yield the runs of the first step that is not complete, those that have not been requested."""
    name, files = settings.recipe.name, settings.files
    planned = _status(instance, f"plan {received}")
    if planned is None:
        yield dg.RunRequest(run_key=f"plan {received}", job_name=plan_recipe.name, partition_key=name)
    if planned is not dg.DagsterRunStatus.SUCCESS:
        return
    keys = StoredDatasetPlan(files.batch_plan).keys
    missing = [key for key in keys if not files.batch(key).exists()]
    for key in missing:
        run_key = f"extract {received} {key}"
        if _status(instance, run_key) is None:
            batch = f"{name}{SEPARATOR}{key}"
            yield dg.RunRequest(run_key=run_key, job_name=extract_recipe.name, partition_key=batch)
    if not missing and _status(instance, f"fuse {received}") is None:
        yield dg.RunRequest(run_key=f"fuse {received}", job_name=fuse_recipe.name, partition_key=name)


def _status(instance: dg.DagsterInstance, run_key: str) -> dg.DagsterRunStatus | None:
    """Return the status of the newest run that was requested by a key; None if none was."""
    records = instance.get_run_records(dg.RunsFilter(tags={"dagster/run_key": run_key}), limit=1)
    return records[0].dagster_run.status if records else None


SENSORS = [new_recipes, recipe_steps]
