"""PostgreSQL, Redis and an S3 store for the time of a demonstration, in a temporary folder."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
import sqlalchemy as sa

from factory_pipeline.datalake.registry.url import registry_url
from factory_pipeline.errors import BuildError

USER = "factory"
LOGS = "logs"
"""The bucket of what runs print."""
BUCKET = "factory"
"""The bucket for home and dataset."""
SECONDS_TO_START = 120.0
POSTGRES_USERS = ("postgres", "nobody")
"""Under whose name a server of root runs: it refuses to be root's."""


@contextmanager
def demo_services() -> Iterator[dict[str, str]]:
    """Run the services while the block runs; nothing of them is left.

    Yields:
        The variables by which `deploy/dagster-celery.yaml` and the factory find them.

    Raises:
        BuildError: a program is missing, or a service does not start.
    """
    # Not below the caller's folder: another user must be able to enter, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="factory-"))
    folder.chmod(0o711)
    try:
        with _postgres(folder) as database, _redis(folder) as broker, _store(folder) as store:
            with sa.create_engine(registry_url(database)).begin() as connection:
                connection.execute(sa.text("CREATE SCHEMA dagster"))
            yield {
                "FACTORY_REGISTRY": database,
                "DAGSTER_POSTGRES": (
                    f"{database.replace('://', '+psycopg2://')}&options=-csearch_path%3Ddagster"
                ),
                "FACTORY_BROKER": broker,
                "FACTORY_LOGS_BUCKET": LOGS,
                "AWS_ENDPOINT_URL": store,
                "AWS_ACCESS_KEY_ID": "demo",
                "AWS_SECRET_ACCESS_KEY": "demo",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
    finally:
        shutil.rmtree(folder)


def stored_logs(store: str) -> int:
    """Return how many logs of steps a store has (up to a thousand).

    Args:
        store: its address.
    """
    return requests.get(f"{store}/{LOGS}", timeout=60).text.count("<Key>")


def postgres_program(name: str) -> Path:
    """Return a program of the newest PostgreSQL server; Debian keeps them off PATH.

    Raises:
        BuildError: it is not installed.
    """
    installed = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parent.parent.name)
    )
    found = installed[-1] if installed else shutil.which(name)
    if found is None:
        raise BuildError(f"{name} is not installed; it is in the Debian package postgresql.")
    return Path(found)


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    place = folder / "postgres"
    place.mkdir(mode=0o755)
    owner = _other_user() if os.geteuid() == 0 else None
    if owner is not None:
        shutil.chown(place, owner, owner)

    def run(name: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [postgres_program(name), *arguments],
            cwd="/",
            user=owner,
            extra_groups=None if owner is None else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BuildError(f"{name} failed: {' '.join(done.stderr.split())}")

    data = place / "data"
    run("initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-c listen_addresses='' -c fsync=off -k {place}"
    run("pg_ctl", "-D", data, "-w", "-l", place / "log", "-o", options, "start")
    try:
        yield f"postgresql://{USER}@/postgres?host={place}"
    finally:
        run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


def _other_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in POSTGRES_USERS if name in names)


def redis_program() -> Path:
    """Return the program of the Redis server.

    Raises:
        BuildError: it is not installed.
    """
    found = shutil.which("redis-server")
    if found is None:
        raise BuildError("redis-server is not installed; it is in the Debian package of that name.")
    return Path(found)


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    listening = folder / "redis"
    options = ["--port", "0", "--unixsocket", str(listening), "--save", "", "--dir", str(folder)]
    with _running([str(redis_program()), *options], folder / "redis.log", listening.exists):
        yield f"redis+socket://{listening}"


@contextmanager
def _store(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return all(requests.put(f"{address}/{name}", timeout=10).ok for name in (LOGS, BUCKET))
        except requests.ConnectionError:
            return False

    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with _running(command, folder / "store.log", answers):
        yield address


@contextmanager
def _running(command: list[str], log: Path, is_ready: Callable[[], bool]) -> Iterator[None]:
    """Run a server while the block runs, which begins when it is ready."""
    with log.open("wb") as told:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
    try:
        until = time.monotonic() + SECONDS_TO_START
        while not is_ready():
            if server.poll() is not None or time.monotonic() > until:
                said = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
                raise BuildError(f"{Path(command[0]).name} does not start: {said[-500:]}")
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait()
