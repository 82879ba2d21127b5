"""The definitions are served by one process, which is started again where it was killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._grpc.client import DagsterGrpcClient

from factory_pipeline.web.code_server import CodeServer
from factory_pipeline.yaml_document import read_yaml
from factory_pipeline_tests.processes import descendants

SECONDS = 90.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def test_what_its_clients_are_given_names_the_location_as_before(folder: Path) -> None:
    code = CodeServer(folder)

    assert read_yaml(code.workspace, "it") == {
        "load_from": [
            {"grpc_server": {"socket": f"{folder}/code", "location_name": "factory_pipeline.definitions"}}
        ]
    }
    assert not code.is_listening()


@pytest.mark.integration
def test_code_that_was_killed_is_served_again(folder: Path) -> None:
    code = CodeServer(folder)
    (folder / "quick_to_load.py").write_text("import dagster\n\ndefs = dagster.Definitions()\n")
    server = subprocess.Popen([sys.executable, "-m", *code.command[:-1], "quick_to_load"], cwd=folder)
    try:
        until = time.monotonic() + SECONDS
        while not code.is_listening():
            assert server.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        client = DagsterGrpcClient(socket=str(folder / "code"))
        before = client.get_server_id()
        code.revive()
        assert client.get_server_id() == before, "what lives is left alone"

        (serving,) = descendants(server.pid)
        os.kill(serving, signal.SIGKILL)
        code.revive()

        assert client.get_server_id() != before
        assert SINGLETON_REPOSITORY_NAME in client.list_repositories()
    finally:
        server.terminate()
        server.wait(SECONDS)
