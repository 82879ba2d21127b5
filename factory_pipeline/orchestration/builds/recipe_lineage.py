"""The assets of each build of a recipe under its name: labels, every source, dataset, collection.

The assets `recipe_labels` to `recipe_collection` do the work of all builds, a partition each; what they make
is recorded under these keys too, so that a build has a graph, batches and a history of its own.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from factory_pipeline.builds.dataset_extraction import BatchOutcome
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.config.source_layout import SourceLayout, source_layouts
from factory_pipeline.errors import FactoryError
from factory_pipeline.hdf5.describe_recipe import describe_recipe_file
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.metadata import counts_table
from factory_pipeline.storage.layout import FactoryHome

LABELS, DATASET, COLLECTION = "Labels", "Dataset", "Collection"
"""Ends of keys; names of sources are in small letters."""
WORKER = {LABELS: "recipe_labels", DATASET: "recipe_dataset", COLLECTION: "recipe_collection"}
"""The asset that makes each."""


def batches_of(name: str) -> dg.DynamicPartitionsDefinition:
    """Return the set of keys with the batches of a build."""
    return dg.DynamicPartitionsDefinition(name=f"{name} batches")


def register_batches(instance: dg.DagsterInstance, name: str, keys: list[str]) -> None:
    """Set the batches of a build, which are dynamic partitions, to those of its plan.

    Args:
        instance: of Dagster.
        name: of the recipe.
        keys: of all batches of the plan; others are deleted.
    """
    batches = str(batches_of(name).name)
    known = set(instance.get_dynamic_partitions(batches))
    instance.add_dynamic_partitions(batches, [key for key in keys if key not in known])
    for gone in sorted(known.difference(keys)):
        instance.delete_dynamic_partition(batches, gone)


def record(context: dg.AssetExecutionContext, name: str, what: str, metadata: Mapping[str, Any]) -> None:
    """Record an asset that a run of WORKER materialised under the name of a build.

    Args:
        context: of that run's asset.
        name: of the recipe, the first part of the asset key.
        what: the second part of the asset key.
        metadata: as Dagster accepts it.
    """
    context.log_event(dg.AssetMaterialization(asset_key=[name, what], metadata=dict(metadata)))


def record_sources(
    context: dg.AssetExecutionContext, settings: DatasetSettings, batch: str, outcome: BatchOutcome
) -> None:
    """Record every source of a batch that was extracted.

    Args:
        context: of the asset that extracted the batch.
        settings: of the build.
        batch: its key in the plan.
        outcome: counts of the batch's samples, by reason where they were dropped.
    """
    name = settings.recipe.name
    shares = describe_recipe_file(settings.files.batch(batch)).valid_share
    for source in settings.recipe.sources:
        dropped = {
            reason.removeprefix(f"{source}: "): count
            for reason, count in outcome.dropped.items()
            if reason.startswith(f"{source}: ")
        }
        metadata: dict[str, Any] = {
            "dagster/row_count": outcome.accepted,
            "share of pixels with data": round(shares[source], 4),
            "dropped by reason": counts_table("reason", dropped),
        }
        context.log_event(
            dg.AssetMaterialization(asset_key=[name, source], partition=batch, metadata=metadata)
        )


def build_specs(home: FactoryHome) -> list[dg.AssetSpec]:
    """Return the assets of every build of the home; one whose settings can't be read is left out."""
    return [spec for name in home.dataset_build_names() for spec in _specs_of(home, name)]


def _specs_of(home: FactoryHome, name: str) -> Iterator[dg.AssetSpec]:
    try:
        recipe = DatasetSettings.load(home, name).recipe
    except FactoryError:
        return
    group = "".join(letter if letter.isalnum() else "_" for letter in f"recipe_{name}")
    shared: dict[str, Any] = {"group_name": group, "owners": OWNERS}

    def spec(what: str, deps: list[Any], description: str, kinds: set[str]) -> dg.AssetSpec:
        return dg.AssetSpec(
            [name, what], deps=[WORKER[what], *deps], description=description, kinds=kinds, **shared
        )

    yield spec(LABELS, [], f"The labels of {name}, in batches: {_describe_labels(recipe)}.", {"parquet"})
    for layout in source_layouts(recipe):
        yield dg.AssetSpec(
            [name, layout.name],
            deps=[dg.AssetDep([name, LABELS])],
            description=_describe_source(layout),
            kinds={"cog", "stac"},
            partitions_def=batches_of(name),
            metadata={"collection": layout.collection.id, "bands": list(layout.bands)},
            **shared,
        )
    sources = [
        dg.AssetDep([name, source], partition_mapping=dg.AllPartitionMapping()) for source in recipe.sources
    ]
    yield spec(DATASET, sources, f"One file per split with every sample of {name}.", {"hdf5"})
    yield spec(COLLECTION, [[name, DATASET]], f"{name} in the data lake.", {"parquet", "sqlite"})


def _describe_labels(recipe: DatasetRecipe) -> str:
    target = recipe.labels.target
    return f"{recipe.labels.kind}, {target.column}" if target is not None else recipe.labels.kind


def _describe_source(layout: SourceLayout) -> str:
    steps = f", {layout.count_of_steps} dates" if layout.count_of_steps > 1 else ""
    return f"{layout.collection.title}: {', '.join(layout.bands)}{steps}, on the window of every label."
