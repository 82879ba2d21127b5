"""The web UI is started by one command, or says in one sentence why it can't be."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_pipeline.storage.atomic import file_lock, is_held
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.ui import WebUi, WebUiError
from factory_pipeline_tests.builds.builds import factory

pytestmark = pytest.mark.integration


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


@pytest.fixture
def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_a_port_that_is_taken_is_said_before_anything_starts(taken: int, free: int, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for options in (
        ("--port", taken, "--pages-port", free),
        ("--port", free, "--pages-port", taken),
    ):
        refused = factory("ui", *map(str, options), home=home)
        assert refused.returncode == 1
        assert refused.stderr.splitlines() == [
            f"Error: The web UI can't use port {taken} of 127.0.0.1: Address already in use; choose another"
            " one with --port (the studio takes the next one, or --pages-port)."
        ]
    assert not home.exists()


def test_a_home_whose_studio_runs_is_told_where(tmp_path: Path, free: int) -> None:
    home = FactoryHome(tmp_path / "home")
    with file_lock(home.ui_lock):
        home.ui_lock.write_text("http://127.0.0.1:3001")
        refused = factory("ui", "--port", str(free), home=home.root)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        f"Error: The studio of {home.root} runs already, at http://127.0.0.1:3001; end that first."
    ]


def test_a_process_that_ends_by_itself_ends_the_others(
    tmp_path: Path, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(_self: WebUi, command: list[str], _log: object) -> "subprocess.Popen[bytes]":
        code = "raise SystemExit(3)" if command[0] == "dagster._daemon" else "import time; time.sleep(60)"
        if command[0] == "dagster":
            place = command[command.index("--socket") + 1]
            code = f"import socket; s = socket.socket(socket.AF_UNIX); s.bind({place!r}); s.listen(); {code}"
        started.append(subprocess.Popen([sys.executable, "-c", code]))
        return started[-1]

    monkeypatch.setattr(WebUi, "_start", start)
    FactoryHome(tmp_path).dagster.mkdir()
    web_ui = WebUi(FactoryHome(tmp_path), "127.0.0.1", free, free + 1)
    with pytest.raises(WebUiError, match=r"The daemon ended by itself; .*ui\.log says why\."):
        web_ui.serve(lambda: pytest.fail("it was not ready"))
    assert len(started) == 4
    assert all(process.returncode is not None for process in started)
    assert web_ui.home.ui_lock.read_text() == web_ui.pages_url
    assert not is_held(web_ui.home.ui_lock)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:3000"),
        ("0.0.0.0", "http://127.0.0.1:3000"),
        ("::1", "http://[::1]:3000"),
        ("factory", "http://factory:3000"),
    ],
)
def test_the_address_is_one_that_a_browser_on_this_machine_opens(host: str, url: str) -> None:
    assert WebUi(FactoryHome(Path()), host, 3000, 3001).url == url
