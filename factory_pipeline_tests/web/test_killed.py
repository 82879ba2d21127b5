"""`kill -9` of `factory ui` leaves no process behind."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from factory_pipeline_tests.builds.builds import FACTORY
from factory_pipeline_tests.processes import descendants, is_alive
from factory_pipeline_tests.sdk.test_remote import free_port, wait_for

pytestmark = pytest.mark.integration
SECONDS_TO_END = 90


def test_a_killed_studio_takes_its_web_server_daemon_and_code_servers_with_it(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc")
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as told:
        ui = subprocess.Popen(
            [FACTORY, "ui", "--port", str(port)],
            env={**os.environ, "FACTORY_HOME": str(tmp_path / "home")},
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started: set[int] = set()
    try:
        wait_for(f"http://127.0.0.1:{port}/server_info", ui, log)
        started = descendants(ui.pid)
        assert len(started) >= 4, "web server, daemon, studio, and a code server"
        ui.kill()
        ui.wait()
        until = time.monotonic() + SECONDS_TO_END
        while any(map(is_alive, started)) and time.monotonic() < until:
            time.sleep(0.5)
        assert not [pid for pid in started if is_alive(pid)]
    finally:
        for pid in (ui.pid, *started):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
