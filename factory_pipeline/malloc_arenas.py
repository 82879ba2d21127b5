"""Fewer heaps of the C library, so that what threads free is used again by others.

glibc makes up to eight heaps per processor, one for each of so many threads, and each keeps what its threads
have freed: resident memory then grows with the number of arrays that come and go in threads.
"""

import ctypes
import os
import sys
from collections.abc import MutableMapping

ARENAS = 2
"""Heaps of a process; a thread that finds both busy waits, which pipelines of large arrays do not feel."""
VARIABLE = "MALLOC_ARENA_MAX"
_M_ARENA_MAX = -8
"""The parameter of `mallopt`, of glibc's malloc.h."""


def limit_arenas() -> bool:
    """Limit the heaps of this process and of those that are forked from it; call it before threads start.

    It holds for the whole process: call it only in one that belongs to the pipeline, never for the SDK.

    Returns:
        Whether they are limited. With another C library than glibc, or where the environment says how many
        there may be, nothing is changed.
    """
    if sys.platform != "linux" or VARIABLE in os.environ:
        return False
    library = ctypes.CDLL(None)
    # Of C libraries, glibc alone says its version; others have a `mallopt` of other parameters or none.
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_M_ARENA_MAX, ARENAS))


def limit_arenas_of(environment: MutableMapping[str, str]) -> None:
    """Limit the heaps of processes that are started with this environment, unless it says how many."""
    environment.setdefault(VARIABLE, str(ARENAS))
