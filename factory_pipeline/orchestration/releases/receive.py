"""Releases that a program on another machine imports: looked at first, so that their partition is known."""

from contextlib import closing

import dagster as dg
from pydantic import Field

from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
from factory_pipeline.datalake.ingest.releases.receive import receive_release as receive
from factory_pipeline.datalake.ingest.releases.register import register_release
from factory_pipeline.orchestration.failures import NO_RETRY, user_errors
from factory_pipeline.orchestration.partitions import RELEASES
from factory_pipeline.orchestration.resources import FactoryResource


class ReleaseCall(dg.Config):
    """Which release is imported, and what a user says of it."""

    url: str = Field(description="Address of the archive without secrets, or a path in an allowed folder.")
    name: str | None = Field(None, description="Of the collection.")
    mltype: str | None = Field(None, description="What labels are for, where meta.json does not say.")
    label_coordinates: str | None = Field(None, description="geographic or pixel.")
    skip_invalid: bool = Field(False, description="Import without the pairs that can't be taken.")


@dg.op
def received_release(context: dg.OpExecutionContext, factory: FactoryResource, config: ReleaseCall) -> None:
    """Look at a release and enter it; its partition is metadata of the output."""
    with user_errors(), closing(factory.registry()) as registry:
        options = ReleaseOptions.of(
            config.name, config.mltype, config.label_coordinates, skip_invalid=config.skip_invalid
        )
        received = receive(config.url, factory.folder(), factory.intake_policy(), options)
        register_release(registry, received)
    context.instance.add_dynamic_partitions(RELEASES, [received.key])
    context.add_output_metadata({"release": received.key})


@dg.job(
    executor_def=dg.in_process_executor,
    tags=NO_RETRY,
    description="Looks at a release for a program on another machine, which then starts its import.",
)
def receive_release() -> None:
    """One release per run."""
    received_release()
