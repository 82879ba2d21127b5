"""Workers end with the process that started them, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

DRIVER = """
import sys, time, os
from pathlib import Path
from factory_pipeline.worker_pool import open_pool

def work(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    pool = open_pool(2)
    for run in [pool.submit(work, sys.argv[1]) for _ in range(2)]:
        run.result()
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    workers = tmp_path / "workers"
    workers.mkdir()
    driver = subprocess.Popen([sys.executable, tmp_path / "driver.py", workers], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while len(pids := [int(path.name) for path in workers.iterdir()]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert all(is_running(pid) for pid in pids)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker outlives its killed parent"
        time.sleep(0.05)
