"""A Celery worker that takes the runs of a home, as the `dagster.yaml` of the home describes it."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
from celery.signals import task_postrun, task_prerun
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import unpack_value
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tasks import create_execute_job_task

from factory_pipeline.errors import HomeError
from factory_pipeline.malloc_arenas import limit_arenas
from factory_pipeline.orchestration.run_lock import hold_run_lock, release_run_lock
from factory_pipeline.runs.instance import environment_of, prepare_home
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.worker_pool import WorkerPool


def serve_runs(home: FactoryHome, runs: int) -> None:
    """Work on runs of a home until this process is told to end (SIGTERM, SIGINT); it ends those it has begun.

    Broker and queue are those of the run launcher in the home's `dagster.yaml`, so that they are named once.
    Each run is worked on in a process of its own. The process's environment is changed: runs read from it
    where their home is.

    Args:
        home: of the runs; it has to be the same on all workers.
        runs: most runs at the same time.

    Raises:
        HomeError: the home's runs are not for Celery workers.
    """
    limit_arenas()
    # In a process of its own: Celery forks the processes of runs from this one, and the client of an object
    # store, once it has been used, does not work in forked processes.
    with WorkerPool(1) as pool:
        pool.submit(prepare_home, home).result()
    os.environ.update(environment_of(home))
    with dg.DagsterInstance.get() as instance:
        launcher = instance.run_launcher
    if not isinstance(launcher, CeleryRunLauncher):
        raise HomeError(
            f"The runs of this home are launched by {type(launcher).__name__}, not by workers:"
            f" {home.dagster_config} names no CeleryRunLauncher; deploy/dagster-celery.yaml is one that does."
        )
    create_execute_job_task(launcher.celery)
    _show_alive(home)
    # Several may be on one machine; %h is its name.
    options = ["--concurrency", str(runs), "--hostname", f"factory-{os.getpid()}@%h", "--loglevel", "INFO"]
    # No news of other workers is needed, and none of a clock that differs.
    launcher.celery.worker_main(["worker", *options, "--without-gossip", "--without-mingle"])


def _show_alive(home: FactoryHome) -> None:
    """Have the process of each run hold the run's lock from its beginning to its end.

    Celery itself does not tell that a worker died: the daemon's sensor finds its runs by their locks.
    """

    def with_run(act: Callable[[FactoryHome, str], None]) -> Callable[..., None]:
        def handle(kwargs: Mapping[str, Any], **_: object) -> None:
            act(home, unpack_value(kwargs["execute_job_args_packed"], as_type=ExecuteRunArgs).run_id)

        return handle

    task_prerun.connect(with_run(hold_run_lock), weak=False)
    task_postrun.connect(with_run(release_run_lock), weak=False)
