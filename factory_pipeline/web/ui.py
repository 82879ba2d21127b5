"""The studio of a factory home, with Dagster's web server and daemon behind it."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from factory_pipeline.datasets.versions.read_calls import TOKEN
from factory_pipeline.errors import FactoryError
from factory_pipeline.malloc_arenas import limit_arenas_of
from factory_pipeline.runs.instance import environment_of, prepare_home
from factory_pipeline.runs.with_parent import command_with_parent
from factory_pipeline.storage.atomic import file_lock, is_held
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.code_server import CodeServer
from factory_pipeline.web.dagster_server import PAGES_PORT
from factory_pipeline.web.studio.guard import LOOPBACK

SECONDS_TO_START = 180.0
SECONDS_TO_END = 30.0
SECONDS_BETWEEN_LOOKS = 0.3
SECONDS_BETWEEN_PINGS = 15.0


class WebUiError(FactoryError):
    """The web UI can't be started, or one of its processes ended by itself."""


@dataclass(frozen=True)
class WebUi:
    """Where the web UI of a home listens."""

    home: FactoryHome
    host: str
    port: int
    pages_port: int
    token: str = ""
    """What users must know; only on loopback it may be empty."""
    public_origin: str = ""
    """The address of a reverse proxy before the studio."""

    @property
    def url(self) -> str:
        """Of Dagster's web UI."""
        return f"http://{self._shown_host}:{self.port}"

    @property
    def pages_url(self) -> str:
        """Of the studio."""
        return f"http://{self._shown_host}:{self.pages_port}"

    @property
    def log(self) -> Path:
        """What the processes say."""
        return self.home.ui_log

    @property
    def _shown_host(self) -> str:
        host = "127.0.0.1" if self.host == "0.0.0.0" else "::1" if self.host == "::" else self.host
        return f"[{host}]" if ":" in host else host

    def prepare(self, dagster_config: Path | None = None) -> None:
        """Make the home where it is not there.

        Args:
            dagster_config: as for `prepare_home`.

        Raises:
            HomeError: the home is not a folder.
            OSError: the home can't be written.
            WebUiError: the studio runs already, a port is taken, or others could use it without a token.
        """
        if self.host not in LOOPBACK and not self.token:
            raise WebUiError(
                f"Whoever reaches {self.host} could change and delete datasets: set a token by --token or"
                f" {TOKEN}, or listen on 127.0.0.1 behind a reverse proxy that has a login."
            )
        self.home.require_folder()
        if is_held(self.home.ui_lock):
            # Two daemons would both evaluate its sensors and schedules.
            raise WebUiError(
                f"The studio of {self.home.root} runs already, at {self.home.ui_lock.read_text()};"
                " end that first."
            )
        for port in (self.port, self.pages_port):
            require_free(self.host, port)
        prepare_home(self.home, dagster_config)

    def serve(self, on_ready: Callable[[], None]) -> None:
        """Run the web UI of a prepared home until it is interrupted (SIGINT or SIGTERM).

        Args:
            on_ready: called once, when web UI and pages answer.

        Raises:
            WebUiError: a process ended by itself, or nothing answers after three minutes.
        """
        with (
            _treat_terminate_as_interrupt(),
            suppress(KeyboardInterrupt),
            file_lock(self.home.ui_lock),
            tempfile.TemporaryDirectory(prefix="factory-ui-") as folder,
        ):
            self.home.ui_lock.write_text(self.pages_url, encoding="utf-8")
            code = CodeServer(Path(folder))
            with self._processes(code) as processes:
                self._wait_until_ready(processes)
                on_ready()
                revived = time.monotonic()
                while True:
                    self._require_alive(processes)
                    if time.monotonic() > revived + SECONDS_BETWEEN_PINGS:
                        code.revive()
                        revived = time.monotonic()
                    time.sleep(SECONDS_BETWEEN_LOOKS)

    @contextmanager
    def _processes(self, code: CodeServer) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
        studio = [str(self.home.root), "--host", self.host, "--port", str(self.pages_port)]
        studio += ["--runs-url", self.url, "--public-origin", self.public_origin]
        processes: dict[str, subprocess.Popen[bytes]] = {}
        served = ["--workspace", str(code.workspace)]
        address = ["--host", self.host, "--port", str(self.port)]
        first = {"code server": code.command, "studio": ["factory_pipeline.web.server", *studio]}
        others = {
            "web server": ["factory_pipeline.web.dagster_server", *served, *address],
            "daemon": ["dagster._daemon", "run", *served],
        }
        with self.log.open("ab") as log:
            try:
                for name, command in first.items():
                    processes[name] = self._start(command, log)
                self._wait_until(code.is_listening, "The code server", processes)
                for name, command in others.items():
                    processes[name] = self._start(command, log)
                yield processes
            finally:
                _end(list(processes.values()))

    def _start(self, command: list[str], log: BinaryIO) -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            **environment_of(self.home),
            PAGES_PORT: str(self.pages_port),
            TOKEN: self.token,
        }
        # For the runs that the daemon starts.
        limit_arenas_of(environment)
        return subprocess.Popen(
            command_with_parent(command[0], command[1:]),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def _wait_until_ready(self, processes: dict[str, "subprocess.Popen[bytes]"]) -> None:
        for url in (f"{self.url}/server_info", f"{self.pages_url}/login"):
            self._wait_until(partial(_is_answering, url), f"The web UI at {url}", processes)

    def _wait_until(
        self, is_ready: Callable[[], bool], what: str, processes: dict[str, "subprocess.Popen[bytes]"]
    ) -> None:
        """Wait for a process of this web UI, as long as all are alive."""
        until = time.monotonic() + SECONDS_TO_START
        while not is_ready():
            self._require_alive(processes)
            if time.monotonic() > until:
                raise WebUiError(f"{what} does not answer; {self.log} says why.")
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _require_alive(self, processes: dict[str, "subprocess.Popen[bytes]"]) -> None:
        for name, process in processes.items():
            if process.poll() is not None:
                raise WebUiError(f"The {name} ended by itself; {self.log} says why.")


def require_free(host: str, port: int) -> None:
    """Raise WebUiError if nothing can listen on the port now.

    Args:
        host: name or address to listen on.
        port: 1 to 65535.

    Raises:
        WebUiError: the port is in use, or the host is not an address of this machine.
    """
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise WebUiError(
            f"The web UI can't use port {port} of {host}: {reason}; choose another one with --port"
            " (the studio takes the next one, or --pages-port)."
        ) from error


def _is_answering(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except HTTPError:
        return True  # It asks for a token.
    except (URLError, OSError):
        return False


def _end(processes: list["subprocess.Popen[bytes]"]) -> None:
    for process in processes:
        process.terminate()
    until = time.monotonic() + SECONDS_TO_END
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _treat_terminate_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGTERM too, so that the processes are ended."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
