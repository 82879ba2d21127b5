"""A command that was typed imports once and is forked; a process of somebody else is left alone."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from factory_pipeline.cli.errors import INTERRUPTED
from factory_pipeline.cog.byte_ranges import RetryPolicy

LOOK = """
import gc, sys
from factory_pipeline.cli import main
from factory_pipeline.cli.own_process import import_for_workers, import_runs
from factory_pipeline.fork_server import is_serving

@main.cli.command()
def look():
    import_runs()
    print("factory_pipeline.definitions" in sys.modules, gc.get_freeze_count() > 0, is_serving())
    import_for_workers()
    print(gc.isenabled(), is_serving())

sys.argv = ["factory", "look"]
main.main({given})
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("given", "printed"),
    [("", "True True False\nTrue True\n"), ("['look']", "False False False\nTrue False\n")],
    ids=["typed", "called"],
)
def test_only_the_process_of_a_command_is_prepared_and_forked(given: str, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOOK.replace("{given}", given)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (printed, "")


LEFT = """
import os, subprocess, sys
from factory_pipeline.cli.own_process import OwnProcess
OwnProcess()
ended = subprocess.run([sys.executable, "-c", "raise SystemExit(3)"]).returncode
opened = os.open(sys.argv[1], os.O_WRONLY)
os.write(opened, f"{ended} {opened > 2}".encode())
"""


@pytest.mark.integration
def test_a_command_does_not_suffer_from_what_its_starter_left_it(tmp_path: Path) -> None:
    """No standard streams, and signals of ended children ignored, which is inherited."""
    (tmp_path / "told").touch()
    leave = ["sh", "-c", 'trap "" CHLD; exec "$@" <&- >&- 2>&-', "sh"]
    subprocess.run([*leave, sys.executable, "-c", LEFT, tmp_path / "told"], check=True)
    assert (tmp_path / "told").read_text() == "3 True"


WAITING = """
import asyncio, sys
from factory_pipeline.cli import main
from factory_pipeline.cog.byte_ranges import ByteSource, RetryPolicy

@main.cli.command()
def fetch():
    asyncio.run(ByteSource(None, RetryPolicy()).fetch(sys.address, 0, 10))

sys.address = sys.argv[1]
sys.argv = ["factory", "fetch"]
main.main()
"""


@pytest.mark.integration
def test_an_interrupted_command_waits_for_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a.tif"
        command = subprocess.Popen(
            [sys.executable, "-c", WAITING, address], stderr=subprocess.PIPE, text=True
        )
        connection, _ = silent.accept()
        with connection:
            connection.recv(10)
            command.send_signal(signal.SIGINT)
            _, told = command.communicate(timeout=RetryPolicy().stall - 5)
    assert (command.returncode, told.strip()) == (130, INTERRUPTED)
