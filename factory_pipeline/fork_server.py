"""A server from which the workers of a command are forked, so that what they need is imported once.

`multiprocessing` has such a server, but starts it as a new process, which imports all of it once more. Here
it is forked from the command itself, before that has a thread or a connection. A process that calls the SDK
belongs to somebody else and is never forked: its workers are new processes.
"""

import atexit
import os
import signal
import socket
import sys
import threading
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any, cast

SURVIVORS = ("jemalloc_bg_thd", "polars-ooc-clea")
"""Native threads that importing polars starts: its allocator starts its own again after a fork, and the other
one deletes what queries have spilled to disk, which workers do not run."""

_own_pid: int | None = None
"""The server that was forked here; `multiprocessing` may have another one."""


def start_fork_server() -> bool:
    """Fork the server from this process as it is; call it in a command's main thread, once all is imported.

    Returns:
        Whether workers are forked from now on. Where a thread or another such server runs already, where the
        temporary folder has no place for its socket, or on another system than Linux, they stay new
        processes.
    """
    global _own_pid
    if is_serving():
        return True
    # From 3.14 on, the server has a key of its own.
    if sys.platform != "linux" or sys.version_info >= (3, 14) or _serving_pid() or not _is_alone():
        return False
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            address = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
            listener.bind(address)
        except OSError:
            # The temporary folder can't be written, or its path is longer than the address of a socket.
            return False
        listener.listen()
        # The server ends when all processes that hold the other end have ended.
        alive, held = os.pipe()
        # Workers inherit the mask; the command alone acts on Ctrl-C.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        pid = os.fork()
        if pid == 0:
            try:
                os.close(held)
                forkserver.main(listener.detach(), alive, [])
            finally:
                os._exit(0)
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        os.close(alive)
    server = _server()
    server._forkserver_address, server._forkserver_alive_fd, server._forkserver_pid = address, held, pid
    _own_pid = pid
    # Else what its workers have used would not count as used by this process.
    atexit.register(server._stop)
    return True


def is_serving() -> bool:
    """Return whether workers are forked from this process as it was.

    Not so from a server that `multiprocessing` started because the caller of the SDK asked for it: that was
    begun at another time, with another environment.
    """
    return _own_pid is not None and _serving_pid() == _own_pid


def _serving_pid() -> int | None:
    return cast("int | None", _server()._forkserver_pid)


def _server() -> Any:
    """The one server that `multiprocessing` asks for processes; it starts another one if this is killed."""
    return cast(Any, forkserver)._forkserver


def _is_alone() -> bool:
    """Return whether no thread would be missing in a forked process, by their names.

    Those of numpy's linear algebra have the name of the process, and are started again.
    """
    if threading.active_count() > 1:
        return False
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    own = Path("/proc/self/comm").read_text().strip()
    return all(name in (own, *SURVIVORS) for name in threads)
