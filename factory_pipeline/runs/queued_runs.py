"""Runs of a build on the workers of a cluster: queued here, launched by the daemon, waited for."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from factory_pipeline.errors import BuildError
from factory_pipeline.runs.failures import describe_failure
from factory_pipeline.runs.history import instance_ref
from factory_pipeline.runs.instance import DEFINITIONS, NO_CONSOLE, load_definitions, open_instance, origin_of
from factory_pipeline.storage.layout import FactoryHome

if TYPE_CHECKING:
    import dagster as dg

MOST_DEATHS = 3
"""How often what a dead worker left is queued again: what kills its worker each time must end."""
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_LOOKS_FOR_THE_DEAD = 15.0
SECONDS_WITHOUT_DAEMON = 600.0
"""How long runs wait for a daemon that shows no sign of life: it may just be starting."""


def has_workers(home: FactoryHome) -> bool:
    """Return whether the runs of a home are worked on elsewhere, by what its `dagster.yaml` says.

    Args:
        home: a prepared one.
    """
    launcher = instance_ref(home.dagster).run_launcher_data
    return launcher is not None and launcher.class_name != "DefaultRunLauncher"


def run_on_workers(home: FactoryHome, job: str, runs: Sequence[Mapping[str, str]]) -> None:
    """Queue runs of a job, and wait until the workers have done them all.

    A run whose worker dies is queued again. The runs of a command that is interrupted are cancelled.

    Args:
        home: of the runs, the same on all workers.
        job: its name in the definitions.
        runs: the tags of each run, which say for what partitions it is.

    Raises:
        BuildError: a run failed, or no daemon launches the runs.
    """
    import dagster as dg

    with open_instance(home) as instance:
        queued: dict[str, Mapping[str, str]] = {}
        try:
            for tags in runs:
                queued[_queue(instance, job, tags)] = tags
            said: list[str] = []
            for died in range(MOST_DEATHS + 1):
                lost = []
                for run in _wait(instance, home, list(queued)):
                    events = _failures(instance, run)
                    if events or run.status is dg.DagsterRunStatus.CANCELED or died == MOST_DEATHS:
                        said.append(describe_failure(run.run_id, events))
                    else:
                        lost.append(queued[run.run_id])
                queued = {_queue(instance, job, tags): tags for tags in lost}
                if not queued:
                    break
        except BaseException:
            for run_id in queued:
                _cancel(instance, run_id)
            raise
    if said:
        raise BuildError(" ".join(dict.fromkeys(said)))


def _queue(instance: "dg.DagsterInstance", job: str, tags: Mapping[str, str]) -> str:
    """Record a run as one that waits to be launched, and return its id.

    It has where its code is, for daemon and worker. The daemon does not try it again: who waits does.
    """
    import dagster as dg
    from dagster._core.code_pointer import ModuleCodePointer
    from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
    from dagster._core.storage.tags import MAX_RETRIES_TAG

    code = RepositoryPythonOrigin(sys.executable, ModuleCodePointer(DEFINITIONS, "defs"))
    run = instance.create_run_for_job(
        job_def=load_definitions().resolve_job_def(job),
        run_config=dict(NO_CONSOLE),
        tags={**tags, MAX_RETRIES_TAG: "0"},
        status=dg.DagsterRunStatus.QUEUED,
        remote_job_origin=origin_of(job),
        job_code_origin=JobPythonOrigin(job, code),
    )
    return run.run_id


def _wait(instance: "dg.DagsterInstance", home: FactoryHome, run_ids: list[str]) -> list["dg.DagsterRun"]:
    """Wait until every run has ended; return those that did not succeed.

    A run whose worker has died is ended here too: the daemon's sensor may be as slow as a busy machine.
    """
    import dagster as dg

    from factory_pipeline.orchestration.run_status import end_dead_runs

    seen = looked = time.monotonic()
    while run_ids:
        records = instance.get_run_records(dg.RunsFilter(run_ids=run_ids))
        running = [record for record in records if not record.dagster_run.is_finished]
        if not running:
            ended = [record.dagster_run for record in records]
            return [run for run in ended if run.status is not dg.DagsterRunStatus.SUCCESS]
        now = time.monotonic()
        if any(status.healthy for status in instance.get_daemon_statuses().values()):
            seen = now
        elif now - seen > SECONDS_WITHOUT_DAEMON:
            raise BuildError(
                "No daemon launches the runs of this home; start one by factory ui, and run the same command"
                " again to continue."
            )
        if now - looked > SECONDS_BETWEEN_LOOKS_FOR_THE_DEAD:
            end_dead_runs(instance, home, running)
            looked = time.monotonic()
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return []


def _failures(instance: "dg.DagsterInstance", run: "dg.DagsterRun") -> list["dg.DagsterEvent"]:
    import dagster as dg

    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return [entry.dagster_event for entry in entries if entry.dagster_event is not None]


def _cancel(instance: "dg.DagsterInstance", run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.run_coordinator.cancel_run(run_id)
