"""Sensors: new granules, missing batches, the fuse."""

import json

import dagster as dg

from factory_pipeline.builds import footprint_stages
from factory_pipeline.builds.gedi.batches import StoredPlan
from factory_pipeline.errors import FactoryError
from factory_pipeline.orchestration.builds.dataset import batch_dataset, fused_dataset
from factory_pipeline.orchestration.jobs import build_dataset, fuse_dataset
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.plain_text import count_noun


@dg.sensor(
    job=build_dataset,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Starts a build when there are granules that no build has read: in FACTORY_HOME/inbox/granules, "
        "which is always watched, or where the build's `granules` in build.yaml leads."
    ),
    metadata={"watched": "FACTORY_HOME/inbox/granules, and `granules` of FACTORY_HOME/build.yaml"},
)
def new_granules(
    context: dg.SensorEvaluationContext, factory: FactoryResource
) -> dg.SensorResult | dg.SkipReason:
    """Start a build for new granules whose size is the same at two ticks: they may still be being copied."""
    try:
        settings = factory.settings()
        unread = footprint_stages.unread_granules(settings)
    except FactoryError as error:
        return dg.SkipReason(str(error))
    listing = json.dumps(unread, sort_keys=True)
    if not unread:
        return dg.SkipReason(
            f"Every granule has been read. Watched: {footprint_stages.describe_watched(settings)}."
        )
    if listing != context.cursor:
        return dg.SensorResult(
            skip_reason=f"{count_noun(len(unread), 'new granule')}; waiting until complete.",
            cursor=listing,
        )
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"granules-{footprint_stages.listing_digest(unread)}")],
        cursor=listing,
    )


@dg.sensor(
    job=fuse_dataset,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fuses the dataset once every batch of the plan is materialised.",
)
def complete_plan(
    context: dg.SensorEvaluationContext, factory: FactoryResource
) -> dg.RunRequest | dg.SkipReason:
    """Compare the plan with the event log: Dagster's cached partition status can lose keys."""
    path = factory.settings().files.batch_plan
    if not path.exists():
        return dg.SkipReason("There is no batch plan yet.")
    plan = StoredPlan(path)
    if not plan.keys:
        return dg.SkipReason("The batch plan is empty.")
    done = context.instance.get_materialized_partitions(batch_dataset.key)
    missing = [key for key in plan.keys if key not in done]
    if missing:
        return dg.SkipReason(f"{len(missing)} of {len(plan.keys)} batches are missing.")
    if _fused_plan(context.instance) == plan.digest:
        return dg.SkipReason("The fused dataset contains every batch of the plan.")
    return dg.RunRequest(run_key=f"fuse-{plan.digest}")


def _fused_plan(instance: dg.DagsterInstance) -> str | None:
    """Return the digest of the plan that was fused last."""
    event = instance.get_latest_materialization_event(fused_dataset.key)
    metadata = event.asset_materialization.metadata if event and event.asset_materialization else {}
    return str(metadata["batch plan"].value) if "batch plan" in metadata else None


missing_batches = dg.AutomationConditionSensorDefinition(
    "missing_batches",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Starts the extraction of batches that were registered and have not run.",
)

ALL = [new_granules, complete_plan, missing_batches]
