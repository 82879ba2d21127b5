"""The demo's build on two workers, one of which is killed: `make demo-cluster`.

Real services and processes on one machine: PostgreSQL, Redis, an S3 store with home and dataset, Dagster's
daemon, two Celery workers that share no folder. What they build is compared with what this process builds
alone.
"""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from factory_pipeline.builds.progress import BuildProgress
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import BuildError
from factory_pipeline.runs.build import run_build
from factory_pipeline.runs.demo_services import BUCKET, demo_services, stored_logs
from factory_pipeline.runs.instance import DEFINITIONS, environment_of, prepare_home
from factory_pipeline.runs.with_parent import command_with_parent
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.stored_path import to_path

HOME = f"s3://{BUCKET}/home"
"""The home of the workers."""
SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_TO_START = 300.0
SECONDS_TO_END = 30.0


@dataclass
class ClusterDemo:
    """What happened to a build on two workers."""

    seconds: float = 0.0
    """How long it took, from the first run queued until the dataset was there."""
    runs: dict[int, set[str]] = field(default_factory=dict)
    """By process id of a worker: the runs that it worked on."""
    killed: int = 0
    """Process id of the worker that was killed."""
    logs: int = 0
    """Logs of steps that the S3 store has."""
    digests: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By dataset file: SHA-256 of what one process built alone, and of what the workers built."""

    @property
    def is_same(self) -> bool:
        """Whether there are files, and each has the same bytes as alone."""
        return bool(self.digests) and all(alone == together for alone, together in self.digests.values())

    def __str__(self) -> str:
        rows = [("seconds on two workers, one of them killed", f"{self.seconds:.0f}")]
        for number, (worker, runs) in enumerate(sorted(self.runs.items()), start=1):
            died = " (killed at work)" if worker == self.killed else ""
            rows.append((f"runs that worker {number} began{died}", str(len(runs))))
        same = sum(alone == together for alone, together in self.digests.values())
        rows.append(("logs of steps on S3", str(self.logs)))
        rows.append(("dataset files, of them the same bytes as alone", f"{len(self.digests)}, {same}"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)


def run_cluster_demo(
    settings: BuildSettings,
    folder: Path,
    dagster_config: str,
    on_progress: Callable[[BuildProgress], None],
) -> ClusterDemo:
    """Build a dataset in this process, and again on two workers, one of which is killed at work.

    The environment of this process names the services meanwhile.

    Args:
        settings: of the build; its output is set here.
        folder: gets what this process builds alone, and the scratch folders of the others; home and output
            of the workers are on the S3 store.
        dagster_config: the `dagster.yaml` of the workers' home.
        on_progress: called every few seconds.

    Raises:
        BuildError: a build failed, or a service does not start.
    """
    demo = ClusterDemo()
    alone = settings.model_copy(update={"output": folder / "alone"})
    run_build(FactoryHome(folder / "home_alone"), alone, on_progress)
    with ExitStack() as stack:
        services = stack.enter_context(demo_services())
        stack.enter_context(_environment(services))
        home = _home_on_machine(folder / "driver", dagster_config)
        stack.enter_context(_environment({"FACTORY_SCRATCH": str(folder / "driver")}))
        together = settings.model_copy(update={"output": to_path(f"s3://{BUCKET}/together")})
        stack.enter_context(_running_daemon(home, _log_of(folder / "driver")))
        workers = []
        for name in ("worker1", "worker2"):
            _home_on_machine(folder / name, dagster_config)
            workers.append(stack.enter_context(_running_worker(folder / name)))
        for name in ("worker1", "worker2"):
            _wait_until_ready(_log_of(folder / name))
        demo.runs = {worker.pid: set() for worker in workers}
        demo.killed = workers[0].pid
        stack.enter_context(_killing(services["FACTORY_REGISTRY"], together.files, demo))
        began = time.monotonic()
        run_build(home, together, on_progress)
        demo.seconds = time.monotonic() - began
        demo.logs = stored_logs(services["AWS_ENDPOINT_URL"])
        built = _digests(together.output)
    own = _digests(alone.output)
    demo.digests = {name: (own.get(name, ""), built.get(name, "")) for name in sorted({*own, *built})}
    return demo


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each dataset file below a folder, by its path in it."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("[!.]*.h5"))
    }


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _running_daemon(home: FactoryHome, log: Path) -> Iterator[None]:
    """Dagster's daemon, which launches the runs that are queued."""
    prepare_home(home)
    with log.open("wb") as told:
        daemon = subprocess.Popen(
            command_with_parent("dagster._daemon", ["run", "-m", DEFINITIONS]),
            env={**os.environ, **environment_of(home)},
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
        )
    try:
        yield
    finally:
        daemon.terminate()
        try:
            daemon.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _home_on_machine(scratch: Path, dagster_config: str) -> FactoryHome:
    """Return the home on the store as a machine with this scratch folder has it, with its `dagster.yaml`."""
    with _environment({"FACTORY_SCRATCH": str(scratch)}):
        home = FactoryHome.at(HOME)
    write_text(home.dagster_config, dagster_config)
    return home


def _log_of(scratch: Path) -> Path:
    return scratch.with_suffix(".log")


@contextmanager
def _running_worker(scratch: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of one run at a time, with a scratch folder and a group of processes of its own.

    It shares with other workers what machines would: the services alone.
    """
    code = "from factory_pipeline.cli.main import main; main(['worker', '--runs', '1'])"
    with _log_of(scratch).open("wb") as told:
        worker = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "FACTORY_HOME": HOME, "FACTORY_SCRATCH": str(scratch)},
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
    try:
        yield worker
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def _wait_until_ready(log: Path) -> None:
    """Wait until a worker says that it takes runs."""
    until = time.monotonic() + SECONDS_TO_START
    while " ready." not in log.read_text(encoding="utf-8", errors="replace"):
        if time.monotonic() > until:
            raise BuildError(f"A worker does not start; {log} says why.")
        time.sleep(0.1)


@contextmanager
def _killing(database: str, files: BuildFiles, demo: ClusterDemo) -> Iterator[None]:
    """Note who works on which run; kill the worker that is to be, at work and after the first batch."""
    ended = threading.Event()

    def watch() -> None:
        with closing(Registry.open(database)) as registry:
            while not ended.wait(SECONDS_BETWEEN_LOOKS):
                for run_id, holder in registry.run_holders().items():
                    worker = _group(int(holder.split(":")[1]))
                    if worker in demo.runs:
                        demo.runs[worker].add(run_id)
                    if worker == demo.killed and any(files.batches.glob("[!.]*.h5")):
                        os.killpg(worker, signal.SIGKILL)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


def _group(pid: int) -> int:
    """The group of a process; 0 if it has ended."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
