"""What holds for all tests: nothing is skipped in silence, unit tests start nothing, none leaves traces."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from factory_pipeline import web_retries
from factory_pipeline_tests.conftest import INTEGRATION_FIXTURES, INTEGRATION_PATHS, guard, refuse_skip

HERE = Path(__file__).parent


def skipped(reason: str) -> pytest.TestReport:
    """The report of a test that skipped itself."""
    place = ("test_a.py", 1, f"Skipped: {reason}")
    return pytest.TestReport("test_a.py::test_a", ("test_a.py", 1, ""), {}, "skipped", place, "call")


@pytest.mark.parametrize(
    ("reason", "required", "outcome"),
    [
        ("chromium is not installed", "1", "failed"),
        ("chromium is not installed", "0", "skipped"),
        ("FACTORY_REALDATA names no folder of real data", "1", "skipped"),
        ("this user may not mount a small disk", "1", "skipped"),
    ],
)
def test_a_skip_fails_where_everything_is_installed(
    monkeypatch: pytest.MonkeyPatch, reason: str, required: str, outcome: str
) -> None:
    monkeypatch.setenv("FACTORY_REQUIRE_SYSTEM", required)
    report = skipped(reason)
    refuse_skip(report)
    assert report.outcome == outcome
    assert reason in str(report.longrepr)


def test_a_unit_test_can_start_neither_a_process_nor_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "test", "test_a")
    with pytest.raises(pytest.fail.Exception, match="test_a is not marked `integration`"):
        subprocess.run([sys.executable, "-c", ""], check=False)
    with socket.socket() as server, pytest.raises(pytest.fail.Exception, match=r"socket\.bind"):
        server.bind(("127.0.0.1", 0))


@pytest.mark.parametrize("attempt", range(2))
def test_what_a_test_changes_in_its_process_is_taken_back(tmp_path: Path, attempt: int) -> None:
    assert tmp_path.parent not in Path.cwd().parents
    assert "FACTORY_LEFT_BEHIND" not in os.environ
    assert "PATH" in os.environ
    assert signal.getsignal(signal.SIGTERM) is not signal.default_int_handler
    assert not web_retries._given_up
    os.environ["FACTORY_LEFT_BEHIND"] = str(attempt)
    del os.environ["PATH"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    web_retries._given_up["host"] = 0.0
    os.chdir(tmp_path)


def test_folders_and_fixtures_of_integration_tests_exist() -> None:
    assert all((HERE / path).exists() for path in INTEGRATION_PATHS)
    texts = "".join(path.read_text(encoding="utf-8") for path in HERE.rglob("*.py"))
    assert {name for name in INTEGRATION_FIXTURES if f"def {name}(" not in texts} == set()
