"""Commands of `factory`, each in a process that is forked from one that has imported all that they need.

Importing takes more than most of the campaign's commands do. Run as a program this is the process that is
forked: it reads a request per line from its standard input, and writes a line when a command has begun and
when it has ended.
"""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from factory_pipeline_tests.processes import descendants, is_alive

PRELOADED = (
    "factory_pipeline.cli.main",
    "factory_pipeline.definitions",
    "factory_pipeline.runs.build",
    "factory_pipeline.runs.dataset_build",
    "factory_pipeline.sdk",
)
PRIVILEGES = "-dac_override,-dac_read_search"
"""What lets the superuser write into read-only folders."""
LONGEST_S = 300.0
"""A command that takes longer hangs."""
SECONDS_TO_END = 30.0
"""Within this time the processes that a killed one has started end too."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    """Of its exit; negative if a signal ended it."""
    told: str
    """Its standard output and error together."""
    left: int
    """Processes that it left behind."""
    seconds: float


class CommandServer:
    """Starts commands one after the other; a context manager."""

    def __enter__(self) -> Self:
        program = [sys.executable, "-m", "factory_pipeline_tests.campaign.commands"]
        setpriv = shutil.which("setpriv")
        if os.geteuid() == 0 and setpriv:
            program = [setpriv, f"--bounding-set={PRIVILEGES}", f"--inh-caps={PRIVILEGES}", *program]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        clock: Sequence[tuple[float, float]] = (),
    ) -> "Command":
        """Start a command.

        Args:
            arguments: of `factory`.
            environment: variables that are added to this process's own.
            log: where its output goes.
            clock: steps of its clock: after how many seconds, and by how many.
        """
        request = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "log": str(log),
            "clock": list(clock),
        }
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Command(self, self.read()["pid"], log)

    def read(self) -> dict[str, Any]:
        """What the process that is forked tells next."""
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


class Command:
    """A command that runs."""

    def __init__(self, server: CommandServer, pid: int, log: Path) -> None:
        self._server, self._log, self._began = server, log, time.monotonic()
        self.pid = pid
        self._seen = {pid}

    def processes(self) -> list[int]:
        """Its process and all that it has started, which run now, the oldest first."""
        self._seen |= descendants(self.pid)
        return sorted(filter(is_alive, self._seen))

    def runs(self) -> bool:
        """Whether it has not ended; one that hangs is killed."""
        if time.monotonic() - self._began > LONGEST_S:
            kill(self.processes())
        return is_alive(self.pid)

    def wait(self) -> Ended:
        """Wait for its end, and that of the processes that it has started."""
        while self.runs():
            self.processes()
            time.sleep(0.05)
        seconds = time.monotonic() - self._began
        code = self._server.read()["code"]
        until = time.monotonic() + SECONDS_TO_END
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.05)
        kill(left)
        told = self._log.read_text(errors="replace") if self._log.exists() else ""
        return Ended(code, told, len(left), seconds)


def kill(processes: Sequence[int]) -> None:
    """End processes at once; those that have ended meanwhile are left out."""
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _serve() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    _tell(ready=True)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(request)
        _tell(pid=pid)
        # Its zombie stays for a moment, so that its end is seen there before it is told here.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        _, status = os.waitpid(pid, 0)
        _tell(code=os.waitstatus_to_exitcode(status))


def _tell(**what: object) -> None:
    print(json.dumps(what), flush=True)


def _run(request: dict[str, Any]) -> None:
    """Become the command; does not return."""
    code = 70
    try:
        os.setsid()
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(request["environment"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if request["clock"]:
            from factory_pipeline_tests.campaign.clock import step_clock

            step_clock(request["clock"])
        from factory_pipeline.cli.main import main

        main(request["arguments"])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # What runs at a process's end is the command's own: threads are joined, pools are shut down.
        import atexit
        import threading

        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        os._exit(code)


if __name__ == "__main__":
    _serve()
