"""Workers of a command are forked as it was when it had imported all, and end with it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from factory_pipeline.fork_server import is_serving, start_fork_server

FORKING = """
import os, signal, sys, time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
import polars as pl
from factory_pipeline.fork_server import is_serving, start_fork_server
from factory_pipeline.worker_pool import WorkerPool

def look(_):
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    total = pl.DataFrame({"a": list(range(1000)), "b": [1, 2] * 500}).lazy().group_by("b").sum().collect()
    return sys.imported, blocked, total["a"].sum(), os.getppid(), is_serving()

def burn(seconds):
    while time.process_time() < seconds:
        pass

if __name__ == "__main__":
    # Workers import this file anew, as new processes do, but in the process that imported all else.
    sys.imported = sys.argv[1]
    assert start_fork_server() and start_fork_server() and is_serving()
    with WorkerPool(2) as pool:
        # Used, so that this process can't be forked any more; workers come from the server.
        assert look(None)[2] == 499500
        seen = set(pool.map(look, range(8)))
    [(said, blocked, total, parent, serves)] = seen
    print(said, blocked, total, parent != os.getpid(), serves)
    with WorkerPool(1) as pool:
        pool.submit(burn, 1.0).result()
        try:
            pool.submit(os.kill, pool.submit(os.getpid).result(), signal.SIGKILL).result()
        except BrokenProcessPool:
            print("broken")
    with WorkerPool(1) as pool:
        print(pool.submit(len, "again").result())
"""


def children_cpu_s() -> float:
    used = os.times()
    return used.children_user + used.children_system


@pytest.mark.integration
def test_workers_are_forked_from_the_process_as_it_was_and_are_counted_as_its_own(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(FORKING)
    before = children_cpu_s()
    done = subprocess.run(
        [sys.executable, tmp_path / "driver.py", "typed"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("typed True 499500 True False\nbroken\n5\n", "")
    assert children_cpu_s() - before >= 1.0


OTHERS = """
import multiprocessing, os, sys
from factory_pipeline.fork_server import is_serving, start_fork_server
from factory_pipeline.worker_pool import WorkerPool

if __name__ == "__main__":
    theirs = multiprocessing.get_context("forkserver").Process(target=len, args=("",))
    theirs.start()
    theirs.join()
    os.environ["SET_SINCE"] = "seen"
    print(is_serving(), start_fork_server(), is_serving())
    with WorkerPool(1) as pool:
        print(pool.submit(os.getenv, "SET_SINCE").result())
"""


@pytest.mark.integration
def test_a_server_that_somebody_else_started_forks_no_workers(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(OTHERS)
    done = subprocess.run([sys.executable, tmp_path / "driver.py"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False False False\nseen\n", "")


@pytest.mark.integration
def test_where_a_socket_has_no_place_workers_stay_new_processes(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", "from factory_pipeline.fork_server import *; print(start_fork_server())"],
        env={**os.environ, "TMPDIR": str(deep)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_a_process_with_threads_is_not_forked() -> None:
    wait = threading.Event()
    thread = threading.Thread(target=wait.wait)
    thread.start()
    try:
        assert not start_fork_server()
        assert not is_serving()
    finally:
        wait.set()
        thread.join()
