"""Worker processes that never outlive the process that started them, and leave Ctrl-C to it."""

import atexit
import gc
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess, SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from types import TracebackType

from factory_pipeline.fork_server import is_serving
from factory_pipeline.malloc_arenas import limit_arenas


class WorkerPool(ProcessPoolExecutor):
    """A pool of processes that end with this one, also if it is killed (`kill -9`).

    They are new ones, which import what they need, or are forked where the command has a fork server.

    A terminal sends Ctrl-C to all processes of a command: only this one acts on it, and ends the others, so
    that none prints a traceback of its own. Workers are killed, so they must publish files atomically.
    """

    def __init__(self, processes: int) -> None:
        """Start nothing yet: a process is started when there is work for it.

        Args:
            processes: most processes at the same time.
        """
        context = _ForkedContext() if is_serving() else _NewContext()
        super().__init__(processes, mp_context=context, initializer=_begin)

    def kill(self) -> None:
        """Kill the processes; what they work on fails with BrokenProcessPool."""
        for process in list((self._processes or {}).values()):
            process.kill()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """End the processes: after their work, or at once where the block was interrupted."""
        if kind is not None and not issubclass(kind, Exception):
            self.kill()
        return super().__exit__(kind, error, traceback)


class _BlocksInterrupts(BaseProcess):
    """Begins with SIGINT blocked, even while it imports; goes before the class that starts the process."""

    def start(self) -> None:
        # Else it is started below, and that unblocks SIGINT in this thread.
        resource_tracker.ensure_running()
        # A child inherits the mask of the thread that starts it; handlers are not touched, which belong to
        # the caller of the SDK and can't be set in other threads than the main one.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)


class _NewProcess(_BlocksInterrupts, SpawnProcess):
    pass


class _ForkedProcess(_BlocksInterrupts, ForkServerProcess):
    pass


class _NewContext(SpawnContext):
    Process = _NewProcess


class _ForkedContext(ForkServerContext):
    Process = _ForkedProcess


def _begin() -> None:
    """Begin a worker, which is a process of the pipeline whoever started it."""
    limit_arenas()
    end_with_parent()


def end_with_parent() -> None:
    """End this process as soon as its parent has ended; call it once in a child of `multiprocessing`.

    It also ends sooner after its work: the interpreter's last search for garbage among a hundred thousand
    objects of imported modules, which takes a third of a second, is left out.

    A killed parent can't notify its children, and a busy worker would run on for hours. The pipe that
    `multiprocessing` keeps between the two closes with the parent, on every platform.
    """
    atexit.register(gc.freeze)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), name="parent", daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    # Files are published atomically, so there is nothing to clean up.
    os._exit(1)
