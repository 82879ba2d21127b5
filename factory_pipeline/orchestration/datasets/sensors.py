"""What versions of datasets start: the exports that were requested with them; calls of other machines."""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import dagster as dg
from pydantic import Field

from factory_pipeline.datalake.registry.records import Version, VersionState
from factory_pipeline.datasets.exports.formats import format_named
from factory_pipeline.datasets.versions.partition_keys import version_key
from factory_pipeline.datasets.versions.read_api import handle
from factory_pipeline.orchestration.datasets.exports import GROUP
from factory_pipeline.orchestration.datasets.versions import dataset_version
from factory_pipeline.orchestration.failures import NO_RETRY, user_errors
from factory_pipeline.orchestration.partitions import versions
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_status import is_running

create_dataset_version = dg.define_asset_job(
    "create_dataset_version",
    selection=dg.AssetSelection.assets(dataset_version),
    tags=NO_RETRY,
    description="Makes a dataset, or the next version of one, from the data lake.",
)

export_version = dg.define_asset_job(
    "export_version",
    selection=dg.AssetSelection.groups(GROUP),
    tags=NO_RETRY,
    description="Writes a version in chosen formats.",
)


class Call(dg.Config):
    """A question about datasets."""

    name: str = Field(description="datasets, dataset, version, compare, delete or collections.")
    arguments: dict[str, Any] = Field({}, description="Of the call.")


@dg.op
def answered_call(context: dg.OpExecutionContext, factory: FactoryResource, config: Call) -> None:
    """Handle a call of the SDK from another machine; the result is metadata of the output."""
    with user_errors(), closing(factory.registry()) as registry:
        said = handle(registry, factory.folder(), config.name, config.arguments)
    context.add_output_metadata({"answer": dg.MetadataValue.text(json.dumps(said))})


@dg.job(
    executor_def=dg.in_process_executor,
    tags=NO_RETRY,
    description="Answers a call of the SDK on another machine: lists, describes, compares, deletes.",
)
def call_datasets() -> None:
    """One call per run."""
    answered_call()


@dg.sensor(
    job=export_version,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes the exports that were requested with a version and do not exist yet.",
)
def requested_exports(context: dg.SensorEvaluationContext, factory: FactoryResource) -> dg.SensorResult:
    """Request each format once per version: one that failed must be started again by a person."""
    requests = []
    keys = []
    with closing(factory.registry()) as registry:
        ready = registry.ready_exports()
        for dataset in registry.datasets():
            for version in registry.versions(dataset.id):
                missing = _missing_formats(version, ready.get(version.id, []))
                key = version_key(dataset.name, version.number, version.id)
                # The SDK makes the exports of its versions itself.
                if not missing or is_running(context.instance, key):
                    continue
                keys.append(key)
                requests += [
                    dg.RunRequest(
                        run_key=f"{version.id} {name}",
                        partition_key=key,
                        asset_selection=[dg.AssetKey(format_named(name).asset)],
                    )
                    for name in missing
                ]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[versions.build_add_request(keys)] if keys else [],
        skip_reason=None if requests else "Every requested export exists.",
    )


def _missing_formats(version: Version, ready: Sequence[str]) -> list[str]:
    """Return names of the formats that were requested and are not there."""
    if version.state is not VersionState.READY:
        return []
    return [name for name in version.spec.get("export_types", []) if name not in ready]


JOBS: list[Any] = [create_dataset_version, export_version, call_datasets]
SENSORS = [requested_exports]
