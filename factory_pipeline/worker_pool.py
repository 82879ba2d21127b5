"""Worker processes that never outlive the process that started them, and leave Ctrl-C to it."""

import atexit
import gc
import io
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import (
    current_process,
    parent_process,
    popen_spawn_posix,
    reduction,
    resource_tracker,
    spawn,
    util,
)
from multiprocessing.connection import wait
from multiprocessing.context import (
    ForkServerContext,
    ForkServerProcess,
    SpawnContext,
    SpawnProcess,
    set_spawning_popen,
)
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

from factory_pipeline.errors import WorkerError
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

        Raises:
            WorkerError: this process may not start any.
        """
        if current_process().daemon:
            raise WorkerError(
                "This is a daemonic process of multiprocessing, which may start no workers: call it in a"
                " process with daemon=False, or with one worker."
            )
        _run_tracker()
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


def _run_tracker() -> None:
    """Have `multiprocessing`'s tracker run; starting it unblocks signals in the thread that does it."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _BlocksInterrupts(BaseProcess):
    """Begins with SIGINT blocked, even while it imports; goes before the class that starts the process."""

    def start(self) -> None:
        _run_tracker()
        # A child inherits the mask of the thread that starts it; handlers are not touched, which belong to
        # the caller of the SDK and can't be set in other threads than the main one.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)


class _Launch(popen_spawn_posix.Popen):
    """Starts a process that imports what the work needs, and nothing of the caller.

    `multiprocessing` would run the caller's main module again in each process: a program without
    `if __name__ == "__main__"` does all its work again there, or fails. It would also settle the start method
    that the caller may still want to set, and ask for a working directory that may be gone.
    """

    _fds: list[int]
    """What the process inherits."""

    def _launch(self, process: BaseProcess) -> None:
        tracker: Any = resource_tracker.getfd()
        given = io.BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump(_preparation(process.name), given)
            reduction.dump(process, given)
        finally:
            set_spawning_popen(None)
        self.sentinel, of_child = os.pipe()
        read_by_child, write = os.pipe()
        # The other end of `write` shows the child that this process has ended.
        self.finalizer = util.Finalize(self, _close, (self.sentinel, write))
        try:
            command = spawn.get_command_line(tracker_fd=tracker, pipe_handle=read_by_child)
            inherited: list[int] = [*self._fds, tracker, read_by_child, of_child]
            self.pid = util.spawnv_passfds(os.fsencode(spawn.get_executable()), command, inherited)
            with open(write, "wb", closefd=False) as pipe:
                pipe.write(given.getbuffer())
        finally:
            os.close(of_child)
            os.close(read_by_child)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _preparation(name: str) -> dict[str, Any]:
    """What `multiprocessing.spawn.prepare` sets in a new process: where modules are found, and its name."""
    told: dict[str, Any] = {
        "name": name,
        "authkey": current_process().authkey,
        "sys_path": list(sys.path),
    }
    with suppress(FileNotFoundError):
        told["dir"] = os.getcwd()  # noqa: PTH109  (a text, for multiprocessing)
        told["sys_path"] = [folder or told["dir"] for folder in sys.path]
    return told


class _NewProcess(_BlocksInterrupts, SpawnProcess):
    @staticmethod
    def _Popen(process: BaseProcess) -> Any:  # noqa: N802  (multiprocessing's name)
        return _Launch(process)


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
