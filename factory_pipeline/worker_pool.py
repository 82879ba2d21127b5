"""Worker processes that never outlive the process that started them."""

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait


def open_pool(processes: int) -> ProcessPoolExecutor:
    """Return a pool of new processes that end with this one, also if it is killed (`kill -9`)."""
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=end_with_parent)


def end_with_parent() -> None:
    """End this process as soon as its parent has ended; call it once in a child of `multiprocessing`.

    A killed parent can't notify its children, and a busy worker would run on for hours. The pipe that
    `multiprocessing` keeps between the two closes with the parent, on every platform.
    """
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), name="parent", daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    # Files are published atomically, so there is nothing to clean up.
    os._exit(1)
