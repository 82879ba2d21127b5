"""How many processors this process may use: fewer than the machine has in a container or under taskset."""

import math
import os
from contextlib import suppress
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of processors in each period, and the period, of the container that this process is in."""


def processor_count() -> int:
    """Return how many processors this process may use: those it is bound to, or its container's share."""
    # macOS binds no process.
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Without a limit the first is a word.
    with suppress(OSError, ValueError):
        quota, period = map(int, QUOTA.read_text(encoding="ascii").split())
        bound = min(bound, math.ceil(quota / period))
    return max(bound, 1)
