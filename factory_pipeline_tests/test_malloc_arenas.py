"""Threads of a process that limits its heaps share them."""

import os
import subprocess
import sys

import pytest

from factory_pipeline.malloc_arenas import ARENAS, VARIABLE, limit_arenas, limit_arenas_of

COUNTING = """
import ctypes, os, sys, threading
from factory_pipeline.malloc_arenas import limit_arenas

library = ctypes.CDLL(None)
library.malloc.restype = library.fdopen.restype = ctypes.c_void_p
limited = sys.argv[1] == "limit" and limit_arenas()
together = threading.Barrier(6)

def allocate():
    together.wait()
    for _ in range(1000):
        library.free(ctypes.c_void_p(library.malloc(1000)))
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(6)]
for each in threads:
    each.start()
for each in threads:
    each.join()
reader, writer = os.pipe()
stream = ctypes.c_void_p(library.fdopen(writer, b"w"))
library.malloc_info(0, stream)
library.fclose(stream)
with os.fdopen(reader) as told:
    print(limited, told.read().count("<heap nr="))
"""


def counted(how: str, environment: dict[str, str]) -> tuple[bool, int]:
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, how], env=environment, capture_output=True, text=True, check=True
    )
    limited, heaps = done.stdout.split()
    return limited == "True", int(heaps)


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has these heaps")
def test_threads_share_the_heaps_that_a_process_is_limited_to() -> None:
    free = {name: value for name, value in os.environ.items() if name != VARIABLE}
    limited, heaps = counted("limit", free)
    if not limited:
        pytest.skip("the C library is not glibc")
    assert heaps <= ARENAS
    assert counted("leave", free)[1] > ARENAS
    limit_arenas_of(free)
    assert counted("leave", free)[1] <= ARENAS


def test_what_the_environment_says_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "5")
    assert not limit_arenas()
    environment = {VARIABLE: "5"}
    limit_arenas_of(environment)
    assert environment == {VARIABLE: "5"}
