"""Worker processes that never outlive the process that started them."""

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait


def open_pool(processes: int) -> ProcessPoolExecutor:
    """Return a pool of fresh processes that end with this one, also where it is killed (`kill -9`)."""
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=end_with_parent)


def end_with_parent() -> None:
    """End this process as soon as its parent is gone; to be called once in a child of `multiprocessing`.

    A killed parent can't tell its children, and a pool's worker that is at work would go on for hours. The
    pipe that `multiprocessing` holds between the two closes with the parent, on every platform.
    """
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), name="parent", daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    # Files are published whole or not at all, so nothing needs to be tidied.
    os._exit(1)
