"""Signs of life that a process gives in the registry while it works."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beating(beat: Callable[[], object], interval_s: float) -> Iterator[None]:
    """Call a function again and again, in a thread, until the block ends.

    Args:
        beat: gives one sign of life; it raises nothing.
        interval_s: seconds between two calls, and before the first.
    """
    ended = threading.Event()

    def keep_beating() -> None:
        while not ended.wait(interval_s):
            beat()

    thread = threading.Thread(target=keep_beating, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
