"""Versions of datasets: which items of the data lake are in one, with what split and labels."""

from contextlib import closing
from typing import Any

import dagster as dg
from pydantic import create_model

from factory_pipeline.datasets.exports.format_limits import check_fitness
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.describe import describe_version, label_table, split_table
from factory_pipeline.datasets.versions.division import Division
from factory_pipeline.orchestration.builds.dataset import gedi_collection
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.builds.recipe_dataset import recipe_collection
from factory_pipeline.orchestration.failures import user_errors
from factory_pipeline.orchestration.metadata import rows_table
from factory_pipeline.orchestration.onboarding.assets import onboarded_dataset
from factory_pipeline.orchestration.partitions import VERSIONS
from factory_pipeline.orchestration.releases.assets import imported_release
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_progress import RunProgress
from factory_pipeline.orchestration.split_check import SPLIT_CHECK, split_check_result
from factory_pipeline.orchestration.volumes.assets import field_dataset
from factory_pipeline.splits.read_record import read_record

_FIELDS: dict[str, Any] = {
    name: (field.annotation, field) for name, field in DatasetRequest.model_fields.items()
}
# Without the validators of the request: these run inside the asset, which reports their errors.
_CONFIG = create_model("VersionConfig", __base__=dg.Config, **_FIELDS)
VERSION_CONFIG = _CONFIG.to_config_schema().as_field()
"""The configuration of the asset: the fields of a request."""


@dg.asset(
    # Of any collections: which ones a version was made of is in its request.
    deps=[
        gedi_collection,
        *(
            dg.AssetDep(source, partition_mapping=dg.AllPartitionMapping())
            for source in (recipe_collection, onboarded_dataset, imported_release, field_dataset)
        ),
    ],
    group_name="versions",
    owners=OWNERS,
    kinds={"parquet"},
    config_schema=VERSION_CONFIG,
    check_specs=[
        dg.AssetCheckSpec(
            SPLIT_CHECK,
            asset="dataset_version",
            description="No overlapping or duplicate items are in different splits. A version whose request"
            " promises that is not made if it can't be kept.",
        )
    ],
)
def dataset_version(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """The newest version of a dataset: its items, chosen from the data lake, with splits and labels.

    A version never changes. Its exports are partitions of the assets beside it.
    """
    home = factory.folder()
    with user_errors(), closing(factory.registry()) as registry:
        request = DatasetRequest.from_json(context.op_execution_context.op_config)
        divisions: list[Division] = []
        version = create_version(
            registry,
            home,
            request,
            RunProgress(context).report_items,
            check=lambda path: check_fitness(path, request.export_types),
            on_divided=divisions.append,
        )
        summary = describe_version(registry, home, version.id)
    context.instance.add_dynamic_partitions(VERSIONS, [summary.partition])
    return dg.MaterializeResult(
        check_results=[split_check_result(read_record(home.version(version.id).splits))],
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
        },
    )
