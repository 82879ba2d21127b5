"""Measuring a piece of work in a process of its own: time, CPU and memory of that process and its children.

Linux only: CPU and memory are read from /proc, since a pool's processes count as soon as they work, not only
once they have ended.
"""

import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

SAMPLE_S = 0.1
"""Seconds between two looks at the memory."""
_TICKS = os.sysconf("SC_CLK_TCK")

Work = Callable[[], Any]
Prepare = Callable[..., Work]
"""Does what is not measured (imports, pools, connections) and returns what is; that ends its pools."""
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Run:
    """One measured run."""

    seconds: float
    cpu_s: float
    """Of all processes of the work, user and system."""
    peak_bytes: int
    """Largest memory of all processes together, pages that they share counted once (PSS)."""
    result: Any
    """What the work returned."""


class WorkError(Exception):
    """The measured process ended without a result."""


def run_alone(prepare: Prepare, *arguments: Any, on_start: Callable[[], None] | None = None) -> Run:
    """Run `prepare(*arguments)()` in a new process; only the second call is measured.

    Args:
        prepare: a function of a module, as it is sent to the process by name.
        arguments: for `prepare`; can be pickled, as the result must be.
        on_start: called here when the work is prepared, before the clock starts.

    Raises:
        WorkError: the process ended without a result.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, prepare, arguments))
    process.start()
    there.close()
    try:
        here.recv()
        if on_start:
            on_start()
        with _MemoryWatch(process.pid or 0) as memory:
            cpu_before, began = tree_cpu_s(process.pid or 0), time.perf_counter()
            here.send(None)
            result = here.recv()
            seconds, cpu = time.perf_counter() - began, tree_cpu_s(process.pid or 0) - cpu_before
        here.send(None)
    except EOFError as error:
        raise WorkError(f"{prepare.__module__}.{prepare.__name__} ended without a result") from error
    finally:
        process.join()
    return Run(seconds, cpu, memory.peak_bytes, result)


def median_run(runs: Sequence[Run]) -> Run:
    """The medians of each number; the result is that of the last run."""
    return Run(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.cpu_s for run in runs),
        round(statistics.median(run.peak_bytes for run in runs)),
        runs[-1].result,
    )


def interleaved(works: Mapping[Key, Callable[[], Run]], repeats: int) -> dict[Key, list[Run]]:
    """Run all works in turns (A B A B ...), so that a busy minute of the machine falls on all of them."""
    runs: dict[Key, list[Run]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            runs[name].append(work())
    return runs


def timed(work: Work) -> Run:
    """Run work in this process; memory is not looked at."""
    cpu_before, began = time.process_time(), time.perf_counter()
    result = work()
    return Run(time.perf_counter() - began, time.process_time() - cpu_before, 0, result)


def tree_cpu_s(root: int) -> float:
    """CPU seconds that a process and its children have used, with the children that have ended."""
    return sum(_cpu_s(pid) for pid in process_tree(root))


def tree_memory(root: int) -> int:
    """Bytes of memory of a process and its children, shared pages counted once."""
    return sum(_memory(pid) for pid in process_tree(root))


class _MemoryWatch:
    """Looks at the memory of a process tree from time to time, in a thread."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> "_MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, tree_memory(self._root))
            if self._stop.wait(SAMPLE_S):
                return


def _serve(pipe: Connection, prepare: Prepare, arguments: Sequence[Any]) -> None:
    work = prepare(*arguments)
    pipe.send(None)
    pipe.recv()
    pipe.send(work())
    # The parent reads the CPU of this process before it ends.
    pipe.recv()


def process_tree(root: int) -> list[int]:
    """A process and its children."""
    found, pending = [], [root]
    while pending:
        pid = pending.pop()
        found.append(pid)
        try:
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            pending += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS


def _memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
