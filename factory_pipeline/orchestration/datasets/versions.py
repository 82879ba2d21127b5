"""Versions of datasets: which items of the data lake are in one, with what split and labels."""

from contextlib import closing
from typing import Any

import dagster as dg
from pydantic import Field

from factory_pipeline.datasets.exports.format_limits import check_fitness
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.versions.assign_splits import Division
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.describe import describe_version, label_table, split_table
from factory_pipeline.datasets.versions.validate_request import validate
from factory_pipeline.orchestration.builds.dataset import gedi_collection
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.failures import user_errors
from factory_pipeline.orchestration.metadata import rows_table
from factory_pipeline.orchestration.onboarding.assets import onboarded_dataset
from factory_pipeline.orchestration.partitions import VERSIONS
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_progress import RunProgress


class VersionConfig(dg.Config):
    """What is asked for; docs/sdk.md explains each field."""

    dataset_name: str | None = Field(None, description="Name of a new dataset.")
    dataset_version_id: str | None = Field(None, description="Instead: the version to make a new one from.")
    collection_id: str | None = Field(
        None, description="Items of this collection, by name or id; none means all."
    )
    item_type: str = Field("image", description="image, image_collection or dataset.")
    split_info: dict[str, float] = Field(description="Percentages of train, test and validation.")
    labels: list[str] = Field(description="An empty list takes all labels.")
    export_types: list[str] = Field([], description="Formats that are made of the version.")
    query: str = Field("", description="Short form or CQL2.")
    filter: dict[str, Any] = Field({}, description="annotation_types, from_date, to_date, bbox, geometry.")
    is_new_version_required: bool = Field(False, description="False makes the next revision.")
    keep_splits: bool = Field(True, description="False divides the items of an update anew.")
    within_source: bool = Field(
        False, description="Update from the collections that the source version has items of."
    )
    operation_list: list[str] | None = Field(None, description="Ids; none takes all annotations.")
    augmentation_list: dict[str, Any] | None = Field(None, description="Augmentations of the train split.")


@dg.asset(
    # Of any collections: which ones a version was made of is in its request.
    deps=[
        gedi_collection,
        dg.AssetDep(onboarded_dataset, partition_mapping=dg.AllPartitionMapping()),
    ],
    group_name="versions",
    owners=OWNERS,
    kinds={"parquet"},
)
def dataset_version(
    context: dg.AssetExecutionContext, factory: FactoryResource, config: VersionConfig
) -> dg.MaterializeResult:
    """The newest version of a dataset: its items, chosen from the data lake, with splits and labels.

    A version never changes. Its exports are partitions of the assets beside it.
    """
    home = factory.folder()
    with user_errors(), closing(factory.registry()) as registry:
        given = {name: value for name, value in config.model_dump().items() if value is not None}
        request = validate(**given, known_export_types=FORMATS)
        divisions: list[Division] = []
        version = create_version(
            registry,
            home,
            request,
            RunProgress(context).written,
            check=lambda path: check_fitness(path, request.export_types),
            on_divided=divisions.append,
        )
        summary = describe_version(registry, home, version.id)
    context.instance.add_dynamic_partitions(VERSIONS, [summary.partition])
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": summary.items,
            "dataset": summary.dataset,
            "dataset id": summary.dataset_id,
            "version": summary.number,
            "version id": version.id,
            "partition": summary.partition,
            "content hash": summary.content_hash or "",
            "items by split": rows_table(split_table(summary)),
            "division": dg.MetadataValue.json(divisions[0].as_json()),
            "annotations by label": rows_table(label_table(summary)),
            "request": dg.MetadataValue.json(version.spec),
        }
    )
