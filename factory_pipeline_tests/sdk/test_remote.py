"""The SDK on a factory elsewhere: the same calls, through a running web server and its daemon."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import requests

from factory_pipeline import DatasetClient
from factory_pipeline.errors import ArgumentError, RemoteError
from factory_pipeline.runs.instance import prepare_home
from factory_pipeline.sdk.backend import Created
from factory_pipeline.sdk.graphql import web_address
from factory_pipeline.sdk.remote import seen_from_here
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.builds.builds import FACTORY
from factory_pipeline_tests.onboarding.factory import Bench

SPLIT = {"train": 60, "test": 20, "validation": 20}
SECONDS_TO_START = 300


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> FactoryHome:
    """A home with one collection, `tiles`."""
    home = FactoryHome(tmp_path_factory.mktemp("remote") / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        prepare_home(home)
        bench = Bench(home, instance)
        bench.prepare("tiles")
    return home


@pytest.fixture(scope="module")
def address(home: FactoryHome) -> Iterator[str]:
    """The web server of `factory ui` on the home."""
    port = free_port()
    with (home.root / "ui.log").open("wb") as log:
        ui = subprocess.Popen(
            [FACTORY, "ui", "--port", str(port)],
            env={**os.environ, "FACTORY_HOME": str(home.root)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/server_info", ui, home.root / "ui.log")
            wait_until_ready(ui, home.root / "ui.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(ui.pid, signal.SIGTERM)
            try:
                ui.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(ui.pid, signal.SIGKILL)
    printed = (home.root / "ui.log").read_text()
    assert ui.returncode == 0, printed
    assert f"Log: {home.dagster / 'ui.log'}" in printed
    assert printed.count("Ready: ") == 1
    assert printed.endswith("The studio has ended.\n")
    assert "Traceback" not in printed


def free_port() -> int:
    """A port that is free, with the next one free for the pages."""
    with socket.socket() as one, socket.socket() as other:
        while True:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until and server.poll() is None:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    pytest.fail(f"The web server did not start: {log.read_text()[-2000:]}")


def wait_until_ready(ui: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until `factory ui` says that all of it answers: its web server is not the last."""
    until = time.monotonic() + SECONDS_TO_START
    while "Ready: " not in log.read_text():
        assert time.monotonic() < until
        assert ui.poll() is None, log.read_text()[-2000:]
        time.sleep(0.2)


def test_the_same_calls_work_on_a_factory_elsewhere(
    address: str, home: FactoryHome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One way with one version: each run is a process that imports all of Dagster, and so is the server."""
    see_that_the_endpoint_answers_reads_alone(address)
    see_that_links_in_metadata_lead_to_the_pages(address)
    see_that_a_server_without_the_endpoint_answers_by_a_run(address)
    told: list[str] = []
    client = DatasetClient(address, on_progress=lambda step, _: told.append(step))
    (collection,) = client.list_collections()
    made = client.create_dataset_from_collection("Afar", collection.id, SPLIT, ["Water"], ["RAW"])
    assert any(step.startswith("Writing RAW") for step in told)
    see_that_reads_start_no_run_and_are_answered_at_once(address, client, made, tmp_path / "read")

    labels = home.version(made.version_id).export("raw") / "labels.json"
    text = labels.read_bytes()
    labels.write_bytes(b"?" * len(text))
    folder = client.download_dataset(made.version_id, "RAW", tmp_path / "mended")
    assert (folder / "labels.json").read_bytes() == text
    assert "The RAW export is damaged and is written again: labels.json" in caplog.text

    folder = client.download_dataset("Afar@1.0.0", "COCO", tmp_path / "out")
    assert any(step.startswith("Writing COCO") for step in told)
    assert len(list((folder / "images" / "train").iterdir())) == 6
    client.delete_version("Afar@1.0.0")
    assert client.list_datasets() == []


def see_that_reads_start_no_run_and_are_answered_at_once(
    address: str, client: DatasetClient, made: Created, out: Path
) -> None:
    runs = runs_of(address)
    calls = [
        client.collections,
        client.list_datasets,
        lambda: client.describe_version("Afar@1.0.0"),
        lambda: client.compare_versions("Afar", made.version_id),
    ]
    for call in calls:
        # A run takes seconds.
        assert min(timed(call) for _ in range(5)) < 2
    folder = client.download_dataset("Afar", "RAW", out)
    assert (folder / "labels.json").exists()
    with pytest.raises(ArgumentError, match=r"collection_id is 'tile'; .*'tiles'"):
        client.create_dataset_from_collection("Wrong", "tile", SPLIT, ["Water"])
    with pytest.raises(ArgumentError, match=r"labels\[0\] is 'Watr'; .* they have 'Water', 'Land'"):
        client.create_dataset_from_collection("Wrong", "tiles", SPLIT, ["Watr"])
    assert runs_of(address) == runs


def timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def runs_of(address: str) -> int:
    """How many runs a server knows."""
    query = "query { runsOrError { ... on Runs { count } } }"
    answer = requests.post(f"{address}/graphql", json={"query": query}, timeout=30)
    return int(answer.json()["data"]["runsOrError"]["count"])


def see_that_a_server_without_the_endpoint_answers_by_a_run(address: str) -> None:
    runs = runs_of(address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("factory_pipeline.sdk.graphql.READ_PATH", "/nowhere")
        assert [each.name for each in DatasetClient(address).list_collections()] == ["tiles"]
    assert runs_of(address) == runs + 1


def see_that_the_endpoint_answers_reads_alone(address: str) -> None:
    for body, kind, status in (
        ('{"call": "delete", "arguments": {"version_id": "x"}}', "application/json", 400),
        ('{"call": "datasets", "arguments": {}}', "text/plain", 415),
        ("{", "application/json", 400),
    ):
        headers = {"content-type": kind}
        answer = requests.post(f"{address}/factory/read", data=body, headers=headers, timeout=30)
        assert answer.status_code == status


def see_that_links_in_metadata_lead_to_the_pages(address: str) -> None:
    answer = requests.get(f"{address}/pages/", timeout=30)
    assert answer.ok
    assert answer.url == f"http://127.0.0.1:{int(address.rpartition(':')[2]) + 1}/"
    assert "tiles" in answer.text


def test_a_server_that_is_away_is_said() -> None:
    with pytest.raises(RemoteError, match=r"No Dagster web server responds at http://127\.0\.0\.1:9"):
        DatasetClient("http://127.0.0.1:9").list_collections()


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        (" localhost:3000/ ", "http://localhost:3000"),
        ("factory", "http://factory"),
        ("https://factory.example/", "https://factory.example"),
    ],
)
def test_an_address_without_a_scheme_is_accepted(given: str, address: str) -> None:
    assert web_address(given) == address


@pytest.mark.parametrize("given", ["", "http://", "ftp://factory", "http://factory:port"])
def test_an_address_of_no_web_server_is_said(given: str) -> None:
    with pytest.raises(ArgumentError, match=r"it must be the address of the factory's web UI, such as http"):
        DatasetClient(given)


def test_a_password_in_the_address_is_not_told() -> None:
    with pytest.raises(RemoteError) as told:
        DatasetClient("http://me:secret@127.0.0.1:9").list_collections()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "server", "seen"),
    [
        ("http://127.0.0.1:3001/exports/a", "http://factory:3000", "http://factory:3001/exports/a"),
        ("http://0.0.0.0:3001/exports/a", "https://factory", "http://factory:3001/exports/a"),
        ("/pages/exports/a", "https://factory:3000/", "https://factory:3000/pages/exports/a"),
        ("http://pages.org/exports/a", "http://factory:3000", "http://pages.org/exports/a"),
    ],
)
def test_files_are_fetched_from_the_host_of_the_server(url: str, server: str, seen: str) -> None:
    assert seen_from_here(url, server) == seen
