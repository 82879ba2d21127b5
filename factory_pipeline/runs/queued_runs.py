"""Runs of a build on the workers of a cluster: queued here, launched by the daemon, waited for."""

import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from factory_pipeline.errors import BuildError
from factory_pipeline.runs.failures import describe_failure
from factory_pipeline.runs.instance import DEFINITIONS, NO_CONSOLE, open_instance, origin_of
from factory_pipeline.storage.layout import FactoryHome

if TYPE_CHECKING:
    import dagster as dg

QUEUED_BY = "factory/queued_by"
"""Tag of all runs that one command waits for."""
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_WITHOUT_DAEMON = 120.0
"""How long runs wait for a daemon that shows no sign of life: it may just be starting."""


def has_workers(home: FactoryHome) -> bool:
    """Return whether the runs of a home are worked on elsewhere, by what its `dagster.yaml` says.

    Args:
        home: a prepared one.
    """
    with open_instance(home) as instance:
        launcher = instance.get_ref().run_launcher_data
    return launcher is not None and launcher.class_name != "DefaultRunLauncher"


def run_on_workers(home: FactoryHome, job: str, runs: Sequence[Mapping[str, str]]) -> None:
    """Queue runs of a job, and wait until the workers have done them all.

    A run whose worker dies is queued again by the daemon, as `run_retries` in `dagster.yaml` says. The runs
    of a command that is interrupted are cancelled.

    Args:
        home: of the runs, the same on all workers.
        job: its name in the definitions.
        runs: the tags of each run, which say for what partitions it is.

    Raises:
        BuildError: a run failed, or no daemon launches the runs.
    """
    command = uuid.uuid4().hex
    with open_instance(home) as instance:
        try:
            for tags in runs:
                _queue(instance, job, {**tags, QUEUED_BY: command})
            failed = _wait(instance, command)
        except BaseException:
            _cancel(instance, command)
            raise
        said = [describe_failure(run.run_id, _failures(instance, run)) for run in failed]
    if said:
        raise BuildError(" ".join(dict.fromkeys(said)))


def _queue(instance: "dg.DagsterInstance", job: str, tags: Mapping[str, str]) -> None:
    """Record a run as one that waits to be launched, with where its code is for daemon and worker."""
    import dagster as dg
    from dagster._core.code_pointer import ModuleCodePointer
    from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

    from factory_pipeline.definitions import defs

    code = RepositoryPythonOrigin(sys.executable, ModuleCodePointer(DEFINITIONS, "defs"))
    instance.create_run_for_job(
        job_def=defs.resolve_job_def(job),
        run_config=dict(NO_CONSOLE),
        tags=tags,
        status=dg.DagsterRunStatus.QUEUED,
        remote_job_origin=origin_of(job),
        job_code_origin=JobPythonOrigin(job, code),
    )


def _wait(instance: "dg.DagsterInstance", command: str) -> list["dg.DagsterRun"]:
    """Wait until every run has ended and none is to be tried again; return those that did not succeed."""
    import dagster as dg
    from dagster._core.storage.tags import WILL_RETRY_TAG

    seen = time.monotonic()
    while True:
        # The newest first: of a run and its retries, the last one.
        last: dict[str, dg.DagsterRun] = {}
        for run in instance.get_runs(dg.RunsFilter(tags={QUEUED_BY: command})):
            last.setdefault(run.root_run_id or run.run_id, run)
        open_runs = [
            run for run in last.values() if not run.is_finished or run.tags.get(WILL_RETRY_TAG) == "true"
        ]
        if not open_runs:
            return [run for run in last.values() if run.status is not dg.DagsterRunStatus.SUCCESS]
        if any(status.healthy for status in instance.get_daemon_statuses().values()):
            seen = time.monotonic()
        elif time.monotonic() - seen > SECONDS_WITHOUT_DAEMON:
            raise BuildError(
                "No daemon launches the runs of this home; start one by factory ui, and run the same command"
                " again to continue."
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _failures(instance: "dg.DagsterInstance", run: "dg.DagsterRun") -> list["dg.DagsterEvent"]:
    import dagster as dg

    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return [entry.dagster_event for entry in entries if entry.dagster_event is not None]


def _cancel(instance: "dg.DagsterInstance", command: str) -> None:
    import dagster as dg

    for run in instance.get_runs(dg.RunsFilter(tags={QUEUED_BY: command})):
        if not run.is_finished:
            instance.run_coordinator.cancel_run(run.run_id)
