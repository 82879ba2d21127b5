"""The datasets of recipes: labels, samples by batch, one file per split; several builds in one home."""

from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg

from factory_pipeline.builds.dataset_extraction import BatchOutcome, DatasetExtraction, requests_of
from factory_pipeline.builds.dataset_losses import check_losses
from factory_pipeline.builds.dataset_page import write_dataset_page
from factory_pipeline.builds.dataset_plan import StoredDatasetPlan, plan_dataset
from factory_pipeline.builds.dataset_summary import fuse_dataset
from factory_pipeline.builds.recipe_inbox import receive_recipe
from factory_pipeline.builds.stage_progress import StageProgress
from factory_pipeline.datalake.ingest.from_recipe import collect_recipe
from factory_pipeline.hdf5.recipe_preview import recipe_sheet
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.builds.per_batch import for_each_batch
from factory_pipeline.orchestration.builds.recipe_lineage import (
    COLLECTION,
    DATASET,
    LABELS,
    record,
    record_sources,
    register_batches,
)
from factory_pipeline.orchestration.failures import user_errors
from factory_pipeline.orchestration.metadata import counts_table, picture, text_table
from factory_pipeline.orchestration.partitions import (
    RECIPE_BATCHES,
    RECIPE_BUILDS,
    recipe_batches,
    recipe_builds,
    recipes,
)
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.redaction import display
from factory_pipeline.stac.providers import open_catalog

GROUP = "recipes"
SEPARATOR = ":"
"""Between the name of a build and the key of a batch."""
PREVIEW_BYTES = 70_000


@dg.asset(group_name=GROUP, kinds={"yaml"}, owners=OWNERS, partitions_def=recipes)
def received_recipe(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """A recipe from the inbox: checked, and the settings of its build. Registers the build."""
    with user_errors():
        settings = receive_recipe(factory.folder(), context.partition_key)
    context.instance.add_dynamic_partitions(RECIPE_BUILDS, [settings.recipe.name])
    return dg.MaterializeResult(
        metadata={
            "build": settings.recipe.name,
            "sources": list(settings.recipe.sources),
            "catalog": display(settings.catalog),
            "folder": dg.MetadataValue.path(str(settings.output)),
        }
    )


@dg.asset(
    deps=[dg.AssetDep(received_recipe, partition_mapping=dg.AllPartitionMapping())],
    group_name=GROUP,
    kinds={"parquet", "polars"},
    owners=OWNERS,
    partitions_def=recipe_builds,
)
def recipe_labels(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """The labels of a recipe with their windows and splits, in batches; each dropped one is in the ledger."""
    name = context.partition_key
    settings = factory.dataset_settings(name)
    with user_errors():
        catalog = open_catalog(settings.catalog, requests=requests_of(settings.recipe))
        plan = plan_dataset(settings, catalog.provider.digest())
    keys = [f"{name}{SEPARATOR}{key}" for key in plan.keys]
    known = context.instance.get_dynamic_partitions(RECIPE_BATCHES)
    own = {key for key in known if key.startswith(f"{name}{SEPARATOR}")}
    context.instance.add_dynamic_partitions(RECIPE_BATCHES, [key for key in keys if key not in own])
    for gone in sorted(own.difference(keys)):
        context.instance.delete_dynamic_partition(RECIPE_BATCHES, gone)
    register_batches(context.instance, name, plan.keys)
    metadata: dict[str, Any] = {
        "dagster/row_count": plan.table.height,
        "labels in": plan.labels,
        "labels by split": counts_table(
            "split", {split: plan.table.filter(split=split).height for split in plan.splits}
        ),
        "batches": len(plan.keys),
        "remarks": " ".join(plan.remarks),
    }
    record(context, name, LABELS, metadata)
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    deps=[dg.AssetDep(recipe_labels, partition_mapping=dg.AllPartitionMapping())],
    group_name=GROUP,
    kinds={"cog", "stac", "hdf5"},
    owners=OWNERS,
    partitions_def=recipe_batches,
    backfill_policy=dg.BackfillPolicy.multi_run(25),
    pool="extraction",
    retry_policy=dg.RetryPolicy(
        max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
    ),
)
def recipe_samples(context: dg.AssetExecutionContext, factory: FactoryResource) -> None:
    """Every source on the window of every label of a batch: one dataset file, whole or not at all."""
    extractions: dict[str, DatasetExtraction] = {}

    def extract(key: str) -> dict[str, Any]:
        name, _, batch = key.partition(SEPARATOR)
        if name not in extractions:
            extractions[name] = DatasetExtraction(factory.dataset_settings(name))
        outcome = extractions[name].extract(batch)
        settings = factory.dataset_settings(name)
        check_losses(settings, extractions[name].plan)
        record_sources(context, settings, batch, outcome)
        return _metadata(outcome)

    def build_of(key: str) -> Path:
        return factory.dataset_settings(key.partition(SEPARATOR)[0]).output

    for_each_batch(context, factory, build_of, extract)


@dg.asset(
    deps=[dg.AssetDep(recipe_samples, partition_mapping=dg.AllPartitionMapping())],
    group_name=GROUP,
    kinds={"hdf5"},
    owners=OWNERS,
    partitions_def=recipe_builds,
)
def recipe_dataset(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """One file per split with every sample of every batch, and the page of the dataset.

    Fails, and names what is missing, if a batch is.
    """
    settings = factory.dataset_settings(context.partition_key)
    with user_errors(), StageProgress(settings.files.last_stage, "recipe_dataset"):
        summary = fuse_dataset(settings)
        write_dataset_page(settings)
        sheets = {
            f"preview of {split}": recipe_sheet(settings.files.fused(split), max_bytes=PREVIEW_BYTES)
            for split, samples in summary.samples.items()
            if samples
        }
    metadata: dict[str, Any] = {
        **{name: picture(sheet, name) for name, sheet in sheets.items()},
        "dagster/row_count": sum(summary.samples.values()),
        "samples by split": counts_table("split", summary.samples),
        "dropped by reason": counts_table("reason", summary.dropped),
        "files": text_table(
            [{"what": what, "path": path} for what, path in summary.files.items()], ["what", "path"]
        ),
    }
    record(context, settings.recipe.name, DATASET, metadata)
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    deps=[recipe_dataset],
    group_name=GROUP,
    kinds={"parquet", "sqlite"},
    owners=OWNERS,
    partitions_def=recipe_builds,
)
def recipe_collection(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """The samples of a recipe's dataset as a collection of the data lake, with their labels as annotations.

    Dataset versions are made of collections. The same samples are the same collection.
    """
    settings = factory.dataset_settings(context.partition_key)
    with (
        user_errors(),
        closing(factory.registry()) as registry,
        StageProgress(settings.files.last_stage, "recipe_collection") as stage,
    ):
        plan = StoredDatasetPlan(settings.files.batch_plan)
        fused = [settings.files.fused(split) for split in plan.splits]
        times = plan.scan().select("id", "start", "end").collect()
        collection = collect_recipe(registry, factory.folder(), settings.recipe, fused, times, stage.report)
        operations = [operation.id for operation in registry.operations(collection.id)]
    context.log.info(f"The samples are the collection {collection.id}.")
    metadata: dict[str, Any] = {
        "dagster/row_count": collection.item_count,
        "collection": collection.id,
        "name": collection.name,
        "operations": operations,
        "content hash": collection.content_hash,
    }
    record(context, settings.recipe.name, COLLECTION, metadata)
    return dg.MaterializeResult(metadata=metadata)


def _metadata(outcome: BatchOutcome) -> dict[str, Any]:
    """Counts of one batch, as the web UI shows them."""
    return {
        "dagster/row_count": outcome.accepted,
        "labels in": outcome.labels,
        "dropped by reason": counts_table("reason", outcome.dropped),
        "seconds": round(outcome.seconds, 2),
        "found finished": outcome.cached,
        "remarks": text_table(
            [{"what": what, "remark": remark} for what, remark in outcome.remarks.items()], ["what", "remark"]
        ),
    }
