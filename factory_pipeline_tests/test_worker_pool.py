"""Workers end with the process that started them, however it ends, and leave Ctrl-C to it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

LONG_WORK = """
import os, time
from pathlib import Path

def work(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)
"""
DRIVER = """
import sys
from long_work import work
from factory_pipeline.worker_pool import WorkerPool

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
    (tmp_path / "long_work.py").write_text(LONG_WORK)
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


SLOW_IMPORT = """
import multiprocessing, os, time
from pathlib import Path

folder = Path(__file__).parent
if multiprocessing.parent_process():
    (folder / "new").write_text(str(os.getpid()))
    (folder / "new").rename(folder / "importing")
    while not (folder / "interrupted").exists():
        time.sleep(0.01)
    (folder / "imported").touch()

def work():
    time.sleep(600)
"""
INTERRUPTED = """
import sys
from slow_import import work
from factory_pipeline.worker_pool import WorkerPool

try:
    with WorkerPool(1) as pool:
        pool.submit(work).result()
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
    (tmp_path / "slow_import.py").write_text(SLOW_IMPORT)
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


UNGUARDED = """
import multiprocessing, os, signal, sys
from pathlib import Path
from factory_pipeline.worker_pool import WorkerPool

print("begun", flush=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
# From 3.13 on Python itself starts in no folder that is gone.
if sys.version_info < (3, 13):
    gone = Path("gone")
    gone.mkdir()
    os.chdir(gone)
    os.rmdir(os.getcwd())
with WorkerPool(2) as pool:
    print(*pool.map(abs, [-1, -2]), flush=True)
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGINT})
multiprocessing.set_start_method("fork")

def nest():
    try:
        WorkerPool(1)
    except Exception as error:
        print(error, flush=True)

daemonic = multiprocessing.Process(target=nest, daemon=True)
daemonic.start()
daemonic.join()
"""


@pytest.mark.parametrize("given", ["file", "stdin"])
def test_a_program_that_nobody_wrote_for_workers_runs_once_and_keeps_its_settings(
    given: str, tmp_path: Path
) -> None:
    """No `if __name__ == "__main__"`, no working directory, signals of its own, a start method set later."""
    (tmp_path / "driver.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, tmp_path / "driver.py" if given == "file" else "-"],
        input=UNGUARDED if given == "stdin" else "",
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    begun, results, mask_is_kept, refused = done.stdout.splitlines()
    assert (begun, results, mask_is_kept) == ("begun", "1 2", "True")
    assert refused.startswith("This is a daemonic process")


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
