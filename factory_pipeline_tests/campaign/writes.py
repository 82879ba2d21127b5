"""What a process writes below a folder, counted; and its end in the middle of it."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
"""Events of Python that change a folder."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def watch_writes(folder: str, kill_at: int | None) -> Callable[[], int]:
    """Count what this process writes from now on: files opened for writing, made, renamed, removed, linked.

    What libraries in C write by themselves is not seen.

    Args:
        folder: writes below it are counted.
        kill_at: number of the write before which this process and its group are killed; None: none.

    Returns:
        Gives the number of writes until now.
    """
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & WRITING:
                return
        elif event in CHANGES:
            path = arguments[0]
        else:
            return
        if isinstance(path, int) or not os.fsdecode(path).startswith(folder):
            return
        seen += 1
        if seen == kill_at:
            os.killpg(0, signal.SIGKILL)

    sys.addaudithook(hook)
    return lambda: seen
