"""A real PostgreSQL server for a test, from the system's own package, that leaves nothing behind."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

SUPERUSER = "factory"


class PostgresServer:
    """A running server that listens on a socket in its own folder and nowhere else."""

    def __init__(self, folder: Path, programs: Path) -> None:
        """Wrap the server whose socket lies in `folder`."""
        self.folder = folder
        self._control = programs / "pg_ctl", "-D", folder / "data", "-w"

    def start(self) -> None:
        """Start it, again."""
        options = f"-c listen_addresses='' -c fsync=off -k {self.folder}"
        _run(*self._control, "-l", self.folder / "log", "-o", options, "start")

    def stop(self) -> None:
        """End it at once: all its connections break."""
        _run(*self._control, "-m", "immediate", "stop")

    def new_database(self, like: str = "template1") -> str:
        """The URL of a new database: an empty one, or a copy of the one with this name."""
        name = f"test_{uuid.uuid4().hex[:8]}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        # Without it a server that is stopped at once gives the numbers of a copy's sequences out again.
        self._execute("CHECKPOINT")
        return f"postgresql://{SUPERUSER}@/{name}?host={self.folder}"

    def drop_database(self, url: str) -> None:
        """Remove the database of a URL; connections to it break."""
        self._execute(f"DROP DATABASE {self.name_of(url)} WITH (FORCE)")

    @staticmethod
    def name_of(url: str) -> str:
        """The name of the database of a URL."""
        return url.partition("@/")[2].partition("?")[0]

    def _execute(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self.folder), user=SUPERUSER, dbname="postgres", autocommit=True
        ) as admin:
            admin.execute(statement)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server in a temporary folder; skip the test where PostgreSQL is not installed."""
    programs = _programs()
    if programs is None:
        reason = "PostgreSQL's initdb and pg_ctl are not installed (Debian package postgresql)"
        if os.environ.get("FACTORY_REQUIRE_SYSTEM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    # Not below pytest's folder, which no other user can enter; and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="factory-pg-"))
    data = folder / "data"
    if os.geteuid() == 0:
        shutil.chown(folder, _unprivileged(), _unprivileged())
        folder.chmod(0o711)  # its socket is there for those too who may not enter what is not theirs
    try:
        _run(programs / "initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-sync")
        server = PostgresServer(folder, programs)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path | None:
    """The folder of the newest server's programs; Debian keeps them off PATH."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max(
        (program.parent for program in installed), key=lambda folder: int(folder.parent.name), default=None
    )


def _unprivileged() -> str:
    """The server refuses to run as root; Debian's package makes a user for it."""
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"


def _run(program: Path, *arguments: str | Path) -> None:
    as_root = os.geteuid() == 0
    done = subprocess.run(
        [program, *arguments],
        cwd="/",
        user=_unprivileged() if as_root else None,
        extra_groups=[] if as_root else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{program.name} failed: {done.stderr}")
