"""From chips to the dataset: a file per batch, then one file per split."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import dagster as dg

from factory_pipeline.builds.extraction import BatchExtraction
from factory_pipeline.builds.stage_progress import StageProgress
from factory_pipeline.builds.summary import fuse_build
from factory_pipeline.builds.training_upload import write_gedi_upload
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.datalake.ingest.from_build import collect_build
from factory_pipeline.hdf5.fields import DATA
from factory_pipeline.hdf5.preview import chip_sheet
from factory_pipeline.hdf5.schema import dataset_fields
from factory_pipeline.orchestration.builds.chips import (
    EXTRACTION,
    copdem_chips,
    outcome_metadata,
    worldcover_chips,
)
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.builds.per_batch import for_each_batch
from factory_pipeline.orchestration.failures import user_errors
from factory_pipeline.orchestration.metadata import counts_table, picture
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.storage.slug import slug

DATASET_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn(
            field.name,
            f"{'string' if field.is_text else field.dtype.name} {field.shape}",
            ", ".join([field.description, *field.band_names]),
        )
        for field in dataset_fields(Recipe().sentinel2.bands, Recipe().window_size)
        if field.group == DATA
    ]
)
PREVIEW_BYTES = 70_000


@dg.asset(
    deps=[copdem_chips, worldcover_chips],
    kinds={"hdf5"},
    metadata={"dagster/column_schema": DATASET_COLUMNS},
    **{**EXTRACTION, "group_name": "dataset"},
)
def batch_dataset(context: dg.AssetExecutionContext, factory: FactoryResource) -> None:
    """The dataset file of a batch, atomically; a batch without a sample is a valid, empty file."""
    settings = factory.settings()
    extraction = BatchExtraction(settings)
    previewed = context.partition_keys[0]

    def write(batch: str) -> dict[str, Any]:
        metadata = outcome_metadata(extraction.dataset(batch))
        path = settings.files.batch(batch)
        metadata["path"] = dg.MetadataValue.path(str(path))
        metadata["dagster/uri"] = path.as_uri()
        # One sheet per run, not per batch: pictures are stored with the event.
        if batch == previewed and metadata["dagster/row_count"]:
            metadata["preview"] = picture(chip_sheet(path, max_bytes=PREVIEW_BYTES), f"chips of {batch}")
        return metadata

    for_each_batch(context, factory, lambda _: settings.output, write)


@dg.asset(
    deps=[dg.AssetDep(batch_dataset, partition_mapping=dg.AllPartitionMapping())],
    group_name="dataset",
    kinds={"hdf5"},
    owners=OWNERS,
    metadata={"dagster/column_schema": DATASET_COLUMNS},
)
def fused_dataset(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """`train_dataset.h5` and `test_dataset.h5`: every sample of every batch of the plan, in its order.

    Fails with the missing batches if a batch of the plan has no complete file.
    """
    settings = factory.settings()
    with user_errors(), StageProgress(settings.files.last_stage, "fused_dataset"):
        summary = fuse_build(settings, on_split=context.log.info)
    pictures = {
        f"preview of {split}": picture(
            chip_sheet(settings.files.fused(split), max_bytes=PREVIEW_BYTES), f"chips of {split}"
        )
        for split, samples in summary.samples.items()
        if samples
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(summary.samples.values()),
            "samples by split": counts_table("split", summary.samples),
            "footprints in": summary.footprints_in,
            "batch plan": summary.plan,
            "dropped by rule": counts_table("rule", summary.dropped),
            "yield": round(summary.extraction_yield, 4),
            "folder": dg.MetadataValue.path(str(settings.output)),
            **pictures,
        }
    )


@dg.asset(deps=[fused_dataset], group_name="dataset", kinds={"parquet", "sqlite"}, owners=OWNERS)
def gedi_collection(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """The samples as a collection of the data lake, with biomass and land cover as their annotations.

    Dataset versions are made of collections. The same samples are the same collection.
    """
    settings = factory.settings()
    fused = [settings.files.fused(split) for split in settings.recipe.splits]
    with (
        user_errors(),
        closing(factory.registry()) as registry,
        StageProgress(settings.files.last_stage, "gedi_collection") as stage,
    ):
        collection = collect_build(registry, factory.folder(), fused, stage.report)
        operations = [operation.id for operation in registry.operations(collection.id)]
    context.log.info(f"The samples are the collection {collection.id}.")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": collection.item_count,
            "collection": collection.id,
            "name": collection.name,
            "operations": operations,
            "content hash": collection.content_hash,
        }
    )


@dg.asset(
    deps=[fused_dataset],
    group_name="dataset",
    kinds={"zip", "geotiff", "yaml"},
    owners=OWNERS,
    output_required=False,
)
def gedi_upload(
    context: dg.AssetExecutionContext, factory: FactoryResource
) -> Iterator[dg.MaterializeResult]:
    """The samples as an upload in the inbox: GeoTIFFs and a manifest, onboarded like any other.

    Made where the build's settings say `onboard: true`. The same samples are left as they are there.
    """
    settings, home = factory.settings(), factory.folder()
    if not settings.onboard:
        context.log.info(f"Not requested; `onboard: true` in {home.build_file} requests it.")
        return
    recipe, name = settings.recipe, slug(settings.recipe.name)
    with user_errors(), StageProgress(settings.files.last_stage, "gedi_upload"):
        upload = write_gedi_upload(
            {split: settings.files.fused(split) for split in recipe.splits},
            recipe,
            settings.onboard_modalities,
            home.dropped_archive(name),
            home.dropped_manifest(name),
        )
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(upload.samples.values()),
            "samples by split": counts_table("split", upload.samples),
            "is new": upload.is_new,
            "bytes": upload.archive.stat().st_size,
            "manifest": dg.MetadataValue.path(str(upload.manifest)),
        }
    )
