"""What was freed goes back to the system, also from below what is still in use."""

import platform
from pathlib import Path

import pytest

from factory_pipeline.builds.rasters.freed_memory import return_freed_memory

SIZE, COUNT = 100_000, 500
"""Of arrays that the C library keeps: larger ones it may ask the system for, and return, one by one."""


def resident() -> int:
    """Bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked to return memory")
def test_memory_below_what_is_in_use_is_returned() -> None:
    arrays = [bytearray(b"1" * SIZE) for _ in range(COUNT)]
    still_used = arrays[::50]
    del arrays
    before = resident()
    return_freed_memory()
    assert before - resident() > 0.8 * SIZE * COUNT
    assert all(array == b"1" * SIZE for array in still_used)
