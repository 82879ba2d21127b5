"""Memory that was freed goes back to the system.

The C library keeps what threads free, in an arena for each of several threads, and the pieces that it keeps
grow with the number of arrays that come and go: resident memory then grows with the number of dates although
what is in use does not.
"""

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def return_freed_memory() -> None:
    """Return what was freed, of all threads; without effect where the C library can't (other than glibc).

    It takes some milliseconds, and what is allocated next is new to the process again: call it after some
    100 MB of arrays, not after each.
    """
    trim = _find_malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _find_malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
