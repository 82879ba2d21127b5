"""The Dagster instance of a factory home, and jobs executed on it in the calling process.

A process that calls the SDK belongs to somebody else. Dagster alone would, in that process, read
DAGSTER_HOME from the environment, call `logging.config.dictConfig` at each run's start (which shuts down
every logging handler of the process and holds logging's lock), and leave SIGTERM mapped to SIGINT. All runs
that the factory executes in its caller's process therefore go through this module.
"""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from typing import Any

import dagster as dg

from factory_pipeline.storage import FactoryHome, alone, write_text

NO_CONSOLE: Mapping[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run config: the log of a run is kept for the web UI; a terminal shows the progress instead."""


def prepare_home(home: FactoryHome) -> None:
    """Make the folders of a factory home and the tables of its Dagster instance, where they are missing."""
    home.granule_inbox.mkdir(parents=True, exist_ok=True)
    home.upload_inbox.mkdir(parents=True, exist_ok=True)
    home.dagster.mkdir(parents=True, exist_ok=True)
    instance_file = home.dagster / "dagster.yaml"
    if not instance_file.exists():
        shipped = resources.files("factory_pipeline") / "dagster.yaml"
        write_text(instance_file, shipped.read_text(encoding="utf-8"))
    _make_instance(home)


def _make_instance(home: FactoryHome) -> None:
    """Have Dagster make its tables, which fails where two processes do it at the same time."""
    made = home.dagster / ".made"
    if made.exists():
        return
    with alone(home.dagster / ".lock"):
        if not made.exists():
            with dg.DagsterInstance.from_config(str(home.dagster)):
                made.touch()


def environment_of(home: FactoryHome) -> dict[str, str]:
    """The variables that a process of Dagster's own needs to work in a home."""
    return {"FACTORY_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster)}


@contextmanager
def open_instance(home: FactoryHome) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of a prepared home, whatever the environment names.

    Runs on it do not configure the process's logging: handlers that `dagster.yaml` names are for runs that
    the daemon launches in processes of their own.
    """
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        # Dagster asks for these by `dictConfig`, which closes every handler of the process.
        instance.get_yaml_python_handlers = lambda: []  # type: ignore[method-assign]
        yield instance


def resources_of(home: FactoryHome, **options: object) -> dict[str, Any]:
    """Run config of the `factory` resource: the home, and options of `resources.Factory`."""
    return {"resources": {"factory": {"config": {"home": str(home.root), **options}}}}


def execute_job(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    run_config: Mapping[str, Any],
    **arguments: Any,
) -> dg.ExecuteInProcessResult:
    """Execute a job in this process and thread; a failed step is in the result, not raised.

    Args:
        job: a job of `definitions.defs`.
        instance: from `open_instance`.
        run_config: what the job needs beside `NO_CONSOLE`.
        arguments: of `JobDefinition.execute_in_process`, such as `partition_key`.

    Raises:
        DagsterExecutionInterruptedError: the process was interrupted (SIGINT, SIGTERM) in its main thread.
    """
    with _signal_handlers_kept():
        return job.execute_in_process(
            instance=instance,
            run_config={**NO_CONSOLE, **run_config},
            raise_on_error=False,
            **arguments,
        )


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Put the handlers of SIGINT and SIGTERM back after the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            # A handler that was not installed from Python can't be put back.
            if handler is not None:
                signal.signal(number, handler)
