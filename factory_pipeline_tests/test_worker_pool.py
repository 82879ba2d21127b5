"""Workers end with the process that started them, however it ends, and leave Ctrl-C to it."""

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
from factory_pipeline.worker_pool import WorkerPool

def work(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    if sys.argv[2:]:
        from factory_pipeline.fork_server import start_fork_server
        assert start_fork_server()
    pool = WorkerPool(2)
    for run in [pool.submit(work, sys.argv[1]) for _ in range(2)]:
        run.result()
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("forked", [[], ["forked"]], ids=["new", "forked"])
def test_workers_end_when_their_parent_is_killed(tmp_path: Path, forked: list[str]) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    workers = tmp_path / "workers"
    workers.mkdir()
    driver = subprocess.Popen([sys.executable, tmp_path / "driver.py", workers, *forked], cwd=tmp_path)
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


INTERRUPTED = """
import sys, time, os
from pathlib import Path
from factory_pipeline.worker_pool import WorkerPool

folder = Path(__file__).parent
if __name__ != "__main__":
    (folder / "new").write_text(str(os.getpid()))
    (folder / "new").rename(folder / "importing")
    while not (folder / "interrupted").exists():
        time.sleep(0.01)
    (folder / "imported").touch()

if __name__ == "__main__":
    try:
        with WorkerPool(1) as pool:
            pool.submit(time.sleep, 600).result()
    except KeyboardInterrupt:
        sys.exit(130)
"""


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} does not appear"
        time.sleep(0.02)


def test_only_the_parent_acts_on_an_interrupt_also_while_a_worker_imports(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(INTERRUPTED)
    driver = subprocess.Popen(
        [sys.executable, tmp_path / "driver.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    wait_for(tmp_path / "importing")
    worker = int((tmp_path / "importing").read_text())
    os.kill(worker, signal.SIGINT)
    (tmp_path / "interrupted").touch()
    wait_for(tmp_path / "imported")
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert (driver.returncode, errors) == (130, "")
    assert not is_running(worker)


KNOT = """
import gc
from factory_pipeline.worker_pool import end_with_parent
gc.disable()
class Knot:
    def __del__(self):
        print("collected")
knot = Knot()
knot.own = knot
"""


@pytest.mark.parametrize(("last_line", "printed"), [("", "collected\n"), ("end_with_parent()", "")])
def test_workers_search_for_no_garbage_when_they_end(last_line: str, printed: str) -> None:
    done = subprocess.run([sys.executable, "-c", KNOT + last_line], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (printed, 0)
