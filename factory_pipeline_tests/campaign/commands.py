"""Commands of `factory`, each in a process that is forked from one that has imported all that they need.

Importing takes more than most of the campaign's commands do. Run as a program this is the process that is
forked: it reads a request per line from its standard input, and writes a line when a command has begun and
when one has ended. Several may run at the same time.
"""

import ctypes
import importlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from factory_pipeline_tests.processes import descendants, is_alive, session_members

FACTORY = "factory_pipeline.cli.main"
PRELOADED = (
    FACTORY,
    "factory_pipeline.definitions",
    "factory_pipeline.runs.build",
    "factory_pipeline.runs.dataset_build",
    "factory_pipeline.sdk",
    "factory_pipeline_tests.campaign.daemon",
)
PR_SET_CHILD_SUBREAPER = 36
PRIVILEGES = "-dac_override,-dac_read_search"
"""What lets the superuser write into read-only folders."""
NOT_CLEAR = re.compile(r"Traceback|unexpected error|\b\w+\.\w+Error\b|please report")
"""What a sentence for users does not have."""
LONGEST_SENTENCE = 1000
LONGEST_S = 300.0
"""A command that takes longer hangs."""
LONGEST_LOOK_S = 5.0
"""Between two looks at a command; what is longer is the time in which the campaign was stopped."""
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
    cpu_s: float
    """Seconds of CPU of its processes, and of those that others had left and that have ended since."""
    writes: int | None
    """How often its first process wrote below the watched folder; None if it was killed."""

    @property
    def last_words(self) -> str:
        """The end of what it told."""
        return self.told.strip()[-1500:]

    def unclear(self) -> list[str]:
        """Return what is wrong with its error for users, which is one sentence: nothing, if all is well."""
        said = [line for line in self.told.splitlines() if line.startswith("Error: ")]
        if len(said) != 1 or NOT_CLEAR.search(said[0]) or len(said[0]) > LONGEST_SENTENCE:
            return [f"no clear sentence, exit code {self.code}: {self.last_words}"]
        return []


@dataclass(frozen=True)
class Watch:
    """Counts what the first process of a command writes, and kills it there."""

    folder: str
    """Below which writes are counted: files opened for writing, made, renamed, removed, linked."""
    kill_at: int | None = None
    """Number of the write before which all processes of the command are killed, the first of them 1."""


class CommandServer:
    """Starts commands, which run beside each other; a context manager."""

    def __enter__(self) -> Self:
        program = [sys.executable, "-m", "factory_pipeline_tests.campaign.commands"]
        setpriv = shutil.which("setpriv")
        if os.geteuid() == 0 and setpriv:
            program = [setpriv, f"--bounding-set={PRIVILEGES}", f"--inh-caps={PRIVILEGES}", *program]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._ended: dict[int, dict[str, Any]] = {}
        self._read()
        self.cpu_s = 0.0
        """Seconds of CPU that the commands took which have ended."""
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
        watch: Watch | None = None,
        program: str = FACTORY,
    ) -> "Command":
        """Start a command.

        Args:
            arguments: of the program.
            environment: variables that are added to this process's own.
            log: where its output goes.
            clock: steps of its clock: after how many seconds, and by how many.
            watch: what of its writes is counted.
            program: a module, whose `main` is called with the arguments.
        """
        request = {
            "program": program,
            "arguments": list(arguments),
            "environment": dict(environment),
            "log": str(log),
            "clock": list(clock),
            "watch": None if watch is None else asdict(watch),
        }
        _counts_of(log).unlink(missing_ok=True)
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        while "code" in (told := self._read()):
            self._ended[told["pid"]] = told
        return Command(self, told["pid"], log)

    def end_of(self, pid: int) -> dict[str, Any]:
        """What is told of a command that has ended: its exit `code`, and `cpu_s`."""
        while pid not in self._ended:
            told = self._read()
            self._ended[told["pid"]] = told
        ended = self._ended.pop(pid)
        self.cpu_s += ended["cpu_s"]
        return ended

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


class Command:
    """A command that runs."""

    def __init__(self, server: CommandServer, pid: int, log: Path) -> None:
        self._server, self._log, self._looked = server, log, time.monotonic()
        self.pid = pid
        self._seen = {pid}
        self.seconds = 0.0
        """Since it has begun, without the time in which the campaign was stopped."""

    def processes(self) -> list[int]:
        """Its process and all that it has started, which run now, the oldest first."""
        self._seen |= descendants(self.pid) | session_members(self.pid)
        return sorted(filter(is_alive, self._seen))

    def runs(self) -> bool:
        """Whether it has not ended; one that hangs is killed."""
        now = time.monotonic()
        self.seconds += min(now - self._looked, LONGEST_LOOK_S)
        self._looked = now
        if self.seconds > LONGEST_S:
            kill(self.processes())
        return is_alive(self.pid)

    def wait(self) -> Ended:
        """Wait for its end, and that of the processes that it has started."""
        while self.runs():
            time.sleep(0.02)
        ended = self._server.end_of(self.pid)
        until = time.monotonic() + SECONDS_TO_END
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.05)
        kill(left)
        told = self._log.read_text(errors="replace") if self._log.exists() else ""
        counts = _counts_of(self._log)
        writes = int(counts.read_text()) if counts.exists() else None
        return Ended(ended["code"], told, len(left), self.seconds, ended["cpu_s"], writes)


def kill(processes: Sequence[int]) -> None:
    """End processes at once; those that have ended meanwhile are left out."""
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _counts_of(log: Path) -> Path:
    return log.with_suffix(".writes")


def _serve() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    # It ends when its input does, after the commands, also where a signal goes to all of a terminal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    # What a killed process leaves becomes this one's child, which counts its CPU when it has ended.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    _tell(ready=True)
    running: dict[int, int] = {}
    requests = b""
    while True:
        ready, _, _ = select.select([0, *running], [], [])
        for descriptor in ready:
            if descriptor:
                _tell_end(running.pop(descriptor), running.values())
                os.close(descriptor)
        if 0 not in ready:
            continue
        received = os.read(0, 1 << 16)
        if not received:
            for pid in running.values():
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            return
        *lines, requests = (requests + received).split(b"\n")
        for line in lines:
            request = json.loads(line)
            pid = os.fork()
            if pid == 0:
                _run(request)
            running[os.pidfd_open(pid)] = pid
            _tell(pid=pid)


def _tell_end(pid: int, running: Collection[int]) -> None:
    _, status, usage = os.wait4(pid, 0)
    cpu_s = usage.ru_utime + usage.ru_stime + _cpu_s_of_orphans(running)
    _tell(pid=pid, code=os.waitstatus_to_exitcode(status), cpu_s=cpu_s)


def _cpu_s_of_orphans(running: Collection[int]) -> float:
    """Return the seconds of CPU of what commands have left that has ended since the last call."""
    cpu_s = 0.0
    ended_now = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, ended_now)) and ended.si_pid not in running:
            _, _, usage = os.wait4(ended.si_pid, 0)
            cpu_s += usage.ru_utime + usage.ru_stime
    return cpu_s


def _tell(**what: object) -> None:
    print(json.dumps(what), flush=True)


def _run(request: dict[str, Any]) -> None:
    """Become the command; does not return."""
    code = 70
    count: Callable[[], int] | None = None
    log = request["log"]
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(request["environment"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if request["clock"]:
            from factory_pipeline_tests.campaign.clock import step_clock

            step_clock(request["clock"])
        if request["watch"]:
            from factory_pipeline_tests.campaign.writes import watch_writes

            count = watch_writes(request["watch"]["folder"], request["watch"]["kill_at"])
        importlib.import_module(request["program"]).main(request["arguments"])
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
        if count is not None:
            _counts_of(Path(log)).write_text(str(count()))
        os._exit(code)


if __name__ == "__main__":
    _serve()
