"""A job of the factory of this machine, run in this process; importing this loads Dagster."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.utils import make_new_run_id

from factory_pipeline.errors import ARGUMENT_ERROR, ArgumentError, BuildError
from factory_pipeline.orchestration.partitions import VERSIONS
from factory_pipeline.orchestration.run_progress import OnFraction, listening
from factory_pipeline.runs.failures import describe_failure
from factory_pipeline.runs.instance import (
    execute_job,
    load_definitions,
    open_instance,
    prepare_home,
    resources_of,
)
from factory_pipeline.storage.layout import FactoryHome


def run_job(
    home: FactoryHome,
    job: str,
    config: Mapping[str, Any],
    on_fraction: OnFraction,
    assets: Sequence[str] = (),
    partition: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Run a job in this process and return the metadata of its assets.

    An error of the listener ends the run and is raised again.

    Args:
        home: which exists.
        job: its name in the definitions.
        config: of the run, beside the resources.
        on_fraction: called with what is done, 0 to 1.
        assets: those of the job that are made; none means all.
        partition: of a version, if the job has partitions; it is added where it is new.

    Returns:
        By asset, the values of its metadata by label.

    Raises:
        ArgumentError: a step found that an argument is not allowed.
        BuildError: it failed; the message is what the failed step said.
    """
    defs = load_definitions()

    home.require_existing()
    prepare_home(home)
    run_id, raised = make_new_run_id(), []

    def listen(fraction: float) -> None:
        try:
            on_fraction(fraction)
        except BaseException as error:
            raised.append(error)
            raise

    with open_instance(home) as instance, listening(run_id, listen):
        if partition is not None:
            instance.add_dynamic_partitions(VERSIONS, [partition])
        result = execute_job(
            defs.resolve_job_def(job),
            instance,
            {**config, **resources_of(home)},
            asset_selection=[dg.AssetKey(name) for name in assets] or None,
            partition_key=partition,
            run_id=run_id,
        )
    if raised:
        raise raised[0]
    if not result.success:
        raise _argument_error(result) or BuildError(describe_failure(result.run_id, result.all_events))
    return {
        event.step_materialization_data.materialization.asset_key.to_user_string(): {
            label: value.value
            for label, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def _argument_error(result: dg.ExecuteInProcessResult) -> ArgumentError | None:
    """The error of an argument that made a step of a run fail, such as one that was deleted meanwhile."""
    for event in result.all_events:
        said = event.step_failure_data.user_failure_data if event.is_step_failure else None
        if said is not None and ARGUMENT_ERROR in said.metadata:
            return ArgumentError(**dict(said.metadata[ARGUMENT_ERROR].value))  # type: ignore[arg-type]
    return None
