"""The Dagster instance of a factory home, and jobs executed on it in the calling process.

A process that calls the SDK belongs to somebody else. Dagster alone would, in that process, read
DAGSTER_HOME from the environment, call `logging.config.dictConfig` at each run's start (which shuts down
every logging handler of the process and holds logging's lock), point the process's stdout and stderr at
files, lose some interrupts, and leave SIGTERM mapped to SIGINT. All runs that the factory executes in its
caller's process therefore go through this module.
"""

import gc
import hashlib
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.tags import MAX_RETRIES_TAG, REPOSITORY_LABEL_TAG, USER_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils import interrupts
from dagster._utils.warnings import disable_dagster_warnings

from factory_pipeline.datalake.registry.outage import describe_outage
from factory_pipeline.errors import FactoryError, HomeError, RegistryError
from factory_pipeline.orchestration.partitions import BATCHES
from factory_pipeline.runs.history import instance_in
from factory_pipeline.storage.atomic import file_lock, write_text
from factory_pipeline.storage.folders import remove_folder
from factory_pipeline.storage.layout import FactoryHome, require_working_directory

DEFINITIONS = "factory_pipeline.definitions"
"""The code location, by the name that `dagster-webserver -m` gives it."""
RUN_TAGS = {
    # Shown as who launched the run.
    USER_TAG: "factory",
    REPOSITORY_LABEL_TAG: f"{SINGLETON_REPOSITORY_NAME}@{DEFINITIONS}",
    # Who started it in a process of their own is told how it failed; the daemon is not to try it again.
    MAX_RETRIES_TAG: "0",
}
SHIPPED_BEFORE = {
    "717f8cbd8f6a82d85156e406fff9175a24701e65d45290e564099b672ee987d0",
    "7285745aa0d8a59d6fb5ff88e24511474f293ef7e379c1cea4699099247cb1d9",
    "ced8a574ce8a2ac6653c379cf66b2220926a8e6f0268c12b0e37ff40b0fb87ee",
}
"""SHA-256 of each `dagster.yaml` of earlier versions. A home that has such a one gets the new one."""
NO_CONSOLE: Mapping[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run config: the log of a run is kept for the web UI; a terminal shows the progress instead."""


USUAL_HANDLERS: Mapping[int, tuple[Any, ...]] = {
    signal.SIGINT: (signal.default_int_handler,),
    signal.SIGTERM: (signal.SIG_DFL, signal.default_int_handler),
}
"""By signal that ends a run: handlers in whose place Dagster's own may stand meanwhile."""


def load_definitions() -> dg.Definitions:
    """Return the Definitions object; the first call in a process imports all assets, which takes seconds.

    What is imported stays: searching it for garbage would take a third of the CPU.

    Raises:
        HomeError: the working directory is gone, without which Dagster can't load any.
    """
    require_working_directory()
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        with disable_dagster_warnings():
            from factory_pipeline.definitions import defs

            # It is made once, by the first that asks for a job, and warns of what is in beta.
            defs.get_repository_def()
        return defs
    finally:
        if was_collecting:
            gc.enable()


def prepare_home(home: FactoryHome, dagster_config: Path | None = None) -> None:
    """Make the folders of a factory home and the tables of its Dagster instance, where they are missing.

    Args:
        home: that is prepared.
        dagster_config: a `dagster.yaml` that becomes the home's, in place of one that it has.

    Raises:
        HomeError: the home is not a folder.
        RegistryError: the instance is kept on a database server that can't be used.
    """
    home.require_folder()
    home.granule_inbox.mkdir(parents=True, exist_ok=True)
    home.upload_inbox.mkdir(parents=True, exist_ok=True)
    home.spec_inbox.mkdir(parents=True, exist_ok=True)
    home.recipe_inbox.mkdir(parents=True, exist_ok=True)
    home.dagster.mkdir(parents=True, exist_ok=True)
    instance_file = home.dagster_config
    if dagster_config is not None:
        write_text(home.shared_dagster_config, dagster_config.read_text(encoding="utf-8"))
    if home.is_remote and home.shared_dagster_config.exists():
        write_text(instance_file, home.shared_dagster_config.read_text(encoding="utf-8"))
    elif not instance_file.exists() or _sha256(instance_file) in SHIPPED_BEFORE:
        shipped = resources.files("factory_pipeline.runs") / "dagster.yaml"
        write_text(instance_file, shipped.read_text(encoding="utf-8"))
    _make_instance(home)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _make_instance(home: FactoryHome) -> None:
    """Have Dagster make its tables, which fails where two processes do it at the same time.

    Tables that a process was killed over, or a full disk left half made, are made again from nothing.
    """
    made = home.dagster_ready
    if made.exists():
        return
    making = made.with_name(".making")
    folders = [home.dagster / name for name in ("history", "schedules")]
    with file_lock(home.dagster_lock):
        if made.exists():
            return
        if making.exists():
            for folder in folders:
                remove_folder(folder)
        elif not any(folder.exists() for folder in folders):
            making.touch()
        with _outages_described(), instance_in(home.dagster) as instance:
            try:
                # Dagster says nothing of tables that it could not make.
                instance.get_dynamic_partitions(BATCHES)
            except dg.DagsterInvalidInvocationError as error:
                raise HomeError(
                    f"Dagster's tables could not be made in {home.dagster}: see that there is space on its"
                    " disk, and run the command again."
                ) from error
            made.touch()
        making.unlink(missing_ok=True)


def environment_of(home: FactoryHome) -> dict[str, str]:
    """Return the variables that a process of Dagster's own needs to work in a home."""
    return {"FACTORY_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster)}


@contextmanager
def open_instance(home: FactoryHome) -> Iterator[dg.DagsterInstance]:
    """Yield the Dagster instance of a prepared home, whatever the environment names.

    Runs on it do not configure the process's logging or redirect its output: handlers and compute logs that
    `dagster.yaml` names are for runs that the daemon launches in processes of their own.

    Raises:
        RegistryError: the instance is kept on a database server that can't be used, now or in the block.
    """
    with _outages_described(), instance_in(home.dagster) as instance:
        # Dagster asks for these by `dictConfig`, which closes every handler of the process.
        instance.get_yaml_python_handlers = lambda: []  # type: ignore[method-assign]
        # The stock manager points the process's own stdout and stderr at a file while a step runs, for all
        # threads, and starts four processes per step to print them all the same.
        instance._compute_log_manager = NoOpComputeLogManager()
        instance._compute_log_manager.register_instance(instance)
        yield instance


@contextmanager
def _outages_described() -> Iterator[None]:
    try:
        yield
    except FactoryError:
        raise
    except Exception as error:
        told = describe_outage(error)
        if told is None:
            raise
        raise RegistryError(told) from error


def resources_of(home: FactoryHome, **options: object) -> dict[str, Any]:
    """Return the run config of the `factory` resource.

    Args:
        home: its path goes into the config.
        **options: fields of `FactoryResource`, such as `all_folders`.
    """
    return {"resources": {"factory": {"config": {"home": str(home.root), **options}}}}


def execute_job(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    run_config: Mapping[str, Any],
    **arguments: Any,
) -> dg.ExecuteInProcessResult:
    """Execute a job in this process and thread; a failed step is in the result, not raised.

    The run is recorded as one that the web UI or the daemon launched: with the job as the code location has
    it, so that the run is in the overview and can be executed again there.

    Args:
        job: a job of `definitions.defs`.
        instance: from `open_instance`.
        run_config: what the job needs beside `NO_CONSOLE`.
        arguments: of `JobDefinition.execute_in_process`, such as `partition_key`.

    Raises:
        KeyboardInterrupt: the process was interrupted (SIGINT, SIGTERM) in its main thread.
    """
    tags = {**RUN_TAGS, **arguments.pop("tags", {})}
    with (
        disable_dagster_warnings(),
        # The caller may have made an error of what is none, such as a float that is too small to be stored.
        np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
        _raise_if_interrupted(),
        _record_as_launched(job, instance),
    ):
        return job.execute_in_process(
            instance=instance,
            run_config={**NO_CONSOLE, **run_config},
            raise_on_error=False,
            tags=tags,
            **arguments,
        )


def origin_of(job: str) -> RemoteJobOrigin:
    """Return where web UI and daemon find a job: in the code location, as they start it.

    Args:
        job: its name in the definitions.
    """
    location = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(executable_path=sys.executable, module_name=DEFINITIONS), DEFINITIONS
    )
    return RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME).get_job_origin(job)


@contextmanager
def _record_as_launched(job: dg.JobDefinition, instance: dg.DagsterInstance) -> Iterator[None]:
    """Record runs with the job's own definition and its origin, which in-process execution leaves out."""
    create = instance.create_run_for_job
    origin = origin_of(job.name)

    def create_as_launched(**given: Any) -> dg.DagsterRun:
        return create(**{**given, "job_def": job, "remote_job_origin": origin})

    instance.create_run_for_job = create_as_launched  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        instance.create_run_for_job = create  # type: ignore[method-assign]


@contextmanager
def _raise_if_interrupted() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end of the block if SIGINT or SIGTERM arrived in it.

    Dagster ends a run at such a signal, but reports it as a failed run, and forgets a signal that arrives
    between a run's last step and its end. Python writes the number of each signal into the wakeup descriptor,
    whatever its handler does. A signal that the caller ignores or handles is the caller's alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = {number for number, usual in USUAL_HANDLERS.items() if signal.getsignal(number) in usual}
    received, written = socket.socketpair()
    with received, written:
        received.setblocking(False)
        written.setblocking(False)
        previous = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
        try:
            with _taken_by_dagster(taken), _interrupts_sent_again():
                yield
        except DagsterExecutionInterruptedError:
            # As everywhere else in Python, not as an error that only Dagster knows.
            raise KeyboardInterrupt from None
        finally:
            signal.set_wakeup_fd(previous)
        with suppress(BlockingIOError):
            if taken & set(received.recv(4096)):
                raise KeyboardInterrupt


class _TakenSignals:
    """What Dagster has for the module `signal` where it sets handlers: all but those taken stay the caller's.

    It gives SIGTERM the handler of SIGINT, whatever that is.
    """

    SIGINT, SIGTERM = signal.SIGINT, signal.SIGTERM

    def __init__(self, taken: Set[int]) -> None:
        self._taken = taken
        self._handler = signal.getsignal(signal.SIGINT)

    def getsignal(self, _: int) -> Any:
        return self._handler

    def signal(self, number: int, handler: Any) -> None:
        self._handler = handler
        # One that was not installed from Python can't be set.
        if number in self._taken and handler is not None:
            signal.signal(number, handler)


@contextmanager
def _taken_by_dagster(taken: Set[int]) -> Iterator[None]:
    """Have Dagster set its handlers for some signals alone, and put those back that were there."""
    kept = {number: signal.getsignal(number) for number in taken}
    interrupts.signal = _TakenSignals(taken)  # type: ignore[assignment]
    try:
        yield
    finally:
        interrupts.signal = signal
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def _interrupts_sent_again() -> Iterator[None]:
    """Have an interrupt that arrives where Python can't raise it arrive again a moment later.

    An exception raised in a destructor or in the callback of a weak reference is printed and ignored: the run
    would go on to its end.
    """
    report = sys.unraisablehook
    waiting: list[threading.Timer] = []

    def send_again(ignored: "sys.UnraisableHookArgs") -> None:
        if not issubclass(ignored.exc_type, DagsterExecutionInterruptedError | KeyboardInterrupt):
            report(ignored)
            return
        again = threading.Timer(0.01, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        again.daemon = True
        waiting.append(again)
        again.start()

    sys.unraisablehook = send_again
    try:
        yield
    finally:
        sys.unraisablehook = report
        for timer in waiting:
            timer.cancel()
