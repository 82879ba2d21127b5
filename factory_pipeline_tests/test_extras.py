"""Reading needs no extra: in a process in which their packages can't be imported, what reads works."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.datasets.exports.listing import LISTING, ExportedFile, files_hash
from factory_pipeline.datasets.versions.read_calls import READ_PATH
from factory_pipeline.errors import FactoryError, MissingExtraError
from factory_pipeline.extras import EXTRAS, extras_named
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.datasets.streaming.chunks import write_chunks
from factory_pipeline_tests.hdf5.factories import made_samples
from factory_pipeline_tests.test_packaging import PROJECT, modules, requirements

ALWAYS_THERE = {"typing_extensions", "urllib3"}
"""What pydantic and requests bring."""
# Python asks the first finder before all others, for every module that is not imported yet.
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""
VERSION = {
    "id": "5" * 32,
    "number": "1.0.0",
    "dataset_id": "d" * 32,
    "dataset": "Balloons",
    "state": "ready",
    "created": "2026-01-02T03:04:05Z",
    "content_hash": "0" * 64,
    "source_version_id": None,
    "items": 1,
    "splits": {"train": 1, "test": 0, "validation": 0},
    "labels": {"Balloon": 1},
    "exports": ["COCO"],
    "request": {},
}
BATCH = "train-00000-0a1b2c3d"
LABELS = b'{"images": []}'


def run_without(packages: set[str], code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a process in which packages are as if they were not installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=packages) + code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def packages_of(*extras: str) -> set[str]:
    return {package for extra in extras for package in EXTRAS[extra]} - ALWAYS_THERE


class Factory(BaseHTTPRequestHandler):
    """Answers reads as `factory ui` does, and serves the one file of an export."""

    calls: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        assert self.path == READ_PATH
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.calls.append(asked["call"])
        answers: dict[str, Any] = {
            "collections": [],
            "version": VERSION,
            "export": f"http://127.0.0.1:{self.server.server_port}/export/",  # type: ignore[attr-defined]
        }
        self._send(json.dumps({"answer": answers[asked["call"]]}).encode())

    def do_GET(self) -> None:
        file = ExportedFile("labels.json", len(LABELS), sha256(LABELS).hexdigest(), media=False)
        listing = {
            "format": "COCO",
            "dataset": "Balloons",
            "version": "1.0.0",
            "content_hash": files_hash((file,)),
            "files": [file.__dict__],
        }
        said = {f"/export/{LISTING}": json.dumps(listing).encode(), "/export/labels.json": LABELS}
        self._send(said[self.path])

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def address() -> Iterator[str]:
    Factory.calls.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Factory) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_dataset_file_is_read_without_extras(tmp_path: Path) -> None:
    path = tmp_path / "train_dataset.h5"
    write_dataset(path, made_samples(3, BATCH), Recipe(), "train")
    ended = run_without(
        packages_of(*EXTRAS),
        f"""
from factory_pipeline.hdf5 import FusedDataset
dataset = FusedDataset({str(path)!r})
print(len(dataset), dataset[2]["Sentinel-2 L2A"].dtype, dataset.read_batch([0, 1])["label"].shape[0])
""",
    )
    assert ended.stdout.split() == ["3", "uint16", "2"], ended.stderr


def test_local_shards_are_streamed_without_extras_and_an_address_names_its_extra(tmp_path: Path) -> None:
    write_chunks(tmp_path / "train", (3, 2))
    ended = run_without(
        packages_of(*EXTRAS),
        f"""
from factory_pipeline.datasets.streaming import StreamingDataset
print(sorted(item["name"] for item in StreamingDataset({str(tmp_path / "train")!r})))
StreamingDataset("s3://bucket/train")
""",
    )
    assert ended.stdout == "['bild å 0', 'bild å 1', 'bild å 2', 'bild å 3', 'bild å 4']\n", ended.stderr
    assert "This needs the extra 'build', as obstore is not installed" in ended.stderr


def test_a_factory_elsewhere_is_read_and_downloaded_from_without_extras(address: str, tmp_path: Path) -> None:
    ended = run_without(
        packages_of(*EXTRAS),
        f"""
from factory_pipeline import DatasetClient
client = DatasetClient({address!r})
print(client.list_collections(), client.describe_version("Balloons").number)
print("COCO" in client.list_export_types())
print((client.download_dataset("Balloons", "COCO", {str(tmp_path / "out")!r}) / "labels.json").read_text())
""",
    )
    assert ended.stdout == f"[] 1.0.0\nTrue\n{LABELS.decode()}\n", ended.stderr
    assert Factory.calls == ["collections", "version", "version", "export"]


def test_the_command_line_downloads_without_extras(address: str, tmp_path: Path) -> None:
    arguments = ["dataset", "--address", address, "download", "Balloons", "COCO"]
    arguments += ["--output", str(tmp_path / "out")]
    ended = run_without(
        packages_of(*EXTRAS), f"from factory_pipeline.cli.main import main; main({arguments!r})"
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "labels.json").read_bytes() == LABELS


def test_the_code_location_and_every_command_load_with_the_extras_build_and_plots() -> None:
    ended = run_without(
        packages_of("postgres", "cluster", "fields", "volumes") - packages_of("build", "plots"),
        """
from factory_pipeline.cli.main import cli
from factory_pipeline.definitions import defs
print(len(list(defs.resolve_all_asset_specs())), len(cli.commands))
""",
    )
    assert ended.returncode == 0, ended.stderr
    assets, commands = map(int, ended.stdout.split())
    assert assets > 10
    assert commands > 10


def test_the_sdk_names_the_extra_of_a_package_that_is_missing() -> None:
    ended = run_without(
        packages_of("build"),
        """
from factory_pipeline import DatasetClient
from factory_pipeline.errors import FactoryError
try:
    DatasetClient(home="home")
except FactoryError as error:
    print(error)
""",
    )
    assert ended.stdout == (
        "This needs the extra 'build', as sqlalchemy is not installed: "
        "pip install 'factory-pipeline[build]'.\n"
    ), ended.stderr


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["create-dataset", "--input", "granules", "--output", "out"], "build"),
        (["onboard", "manifest.yaml"], "build"),
        (["inspect", "train_dataset.h5"], "plots"),
    ],
)
def test_the_command_line_names_the_extra_in_one_sentence(
    arguments: list[str], extra: str, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "train_dataset.h5", made_samples(1, BATCH), Recipe(), "train")
    (tmp_path / "granules").mkdir()
    (tmp_path / "manifest.yaml").write_text("")
    code = f"""
import os
os.chdir({str(tmp_path)!r})
from factory_pipeline.cli.main import main
main({arguments!r})
"""
    ended = run_without(packages_of(*EXTRAS), code)
    assert ended.returncode == 1
    assert f"pip install 'factory-pipeline[{extra}]'." in ended.stderr
    assert ended.stderr.startswith("Error: This needs the extra")
    assert ended.stderr.count("\n") == 1


def test_a_registry_in_postgresql_names_its_extra() -> None:
    ended = run_without(
        packages_of("postgres"),
        """
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import MissingExtraError
try:
    Registry.open("postgresql://user@127.0.0.1:1/registry")
except MissingExtraError as error:
    print(error)
""",
    )
    assert "pip install 'factory-pipeline[postgres]'." in ended.stdout, ended.stderr


def test_other_missing_modules_are_errors_of_their_own() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module") as caught, extras_named():
        import no_such_module  # type: ignore[import-not-found] # noqa: F401
    assert not isinstance(caught.value, FactoryError)


def test_a_missing_extra_is_an_import_error_too() -> None:
    with pytest.raises(ImportError, match="plots") as caught:
        raise MissingExtraError("PIL", "plots")
    assert isinstance(caught.value, FactoryError)


def test_the_extras_are_those_of_the_project() -> None:
    for extra, packages in EXTRAS.items():
        own = [line for line in PROJECT["optional-dependencies"][extra] if "factory-pipeline[" not in line]
        declared = modules({line.partition(">")[0].partition("[")[0] for line in own})
        assert set(packages) == declared
    # PyTorch is large, and a cluster not for everybody: they are in no other extra.
    declared = modules(requirements("all") | requirements("fields") | requirements("cluster"))
    assert declared == {package for packages in EXTRAS.values() for package in packages}
