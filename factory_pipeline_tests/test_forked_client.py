"""A forked process is told that it can't ask a store, where it would wait for ever."""

import subprocess
import sys

import pytest

PROGRAM = """
import multiprocessing, sys
from factory_pipeline.cog.byte_ranges import ByteSource, RetryPolicy
from factory_pipeline.errors import StoreError
from factory_pipeline.storage.object_store import open_store

ADDRESS = "http://127.0.0.1:9/folder"

def ask(source):
    for what in (lambda: open_store(ADDRESS), lambda: source._locate(ADDRESS + "/file")):
        try:
            what()
            print("asks", flush=True)
        except StoreError as error:
            print(error, flush=True)

if __name__ == "__main__":
    source = ByteSource(None, RetryPolicy())
    if "before" in sys.argv:
        ask(source)
    child = multiprocessing.get_context("fork").Process(target=ask, args=(source,))
    child.start()
    child.join()
    ask(source)
"""
REFUSED = (
    "This process was forked from one that had asked a server or an object store before, and can't ask any:"
    " start such processes by spawn, as multiprocessing.get_context('spawn') does."
)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("given", "told"),
    [([], ["asks"] * 4), (["before"], ["asks"] * 2 + [REFUSED] * 2 + ["asks"] * 2)],
    ids=["forked first", "forked after it asked"],
)
def test_a_process_that_was_forked_too_late_is_told(given: list[str], told: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *given], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == told, done.stderr
