"""An inbox, archives and manifests in an object store go the way of those in folders."""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from factory_pipeline.archives.download import fetch, open_source
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.receive import import_received
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.checks.prescan import prescan
from factory_pipeline.onboarding.list_inbox import list_entries
from factory_pipeline.onboarding.manifest.location import resolve_beside
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.orchestration.onboarding import sensors as automation
from factory_pipeline.runs.onboarding import onboard
from factory_pipeline_tests.datalake.ingest.releases.archives import box, feature, tar_gz
from factory_pipeline_tests.datalake.ingest.releases.archives import pairs as release_files
from factory_pipeline_tests.onboarding.factory import MANIFEST, Bench, bytes_below, requested
from factory_pipeline_tests.onboarding.stores import SECRET, put, store
from factory_pipeline_tests.onboarding.uploads import pairs, tar_of, zip_of


@pytest.fixture(scope="module")
def running() -> Iterator[str]:
    with store() as bucket:
        yield bucket


@pytest.fixture
def inbox(running: str, request: pytest.FixtureRequest, bench: Bench) -> str:
    """A prefix of the test's own that is an inbox of the home."""
    prefix = f"{running}/{request.node.name}/in box"
    bench.allow(inbox=[f"{prefix}/"])
    return prefix


@pytest.fixture
def folder(running: str, request: pytest.FixtureRequest) -> str:
    return f"{running}/{request.node.name}"


def zipped(folder: Path, files: Mapping[str, bytes]) -> bytes:
    return zip_of(folder / "made.zip", files).read_bytes()


def manifest(name: str, **changes: Any) -> bytes:
    return yaml.safe_dump(
        {**MANIFEST, "dataset_url": f"{name}.zip", "dataset_name": name, **changes}
    ).encode()


def test_a_manifest_in_a_prefix_is_onboarded_like_one_in_a_folder(
    bench: Bench, inbox: str, tmp_path: Path
) -> None:
    put(f"{inbox}/rivers.zip", zipped(tmp_path, pairs(6)))
    put(f"{inbox}/rivers.yaml", manifest("rivers"))
    first = bench.tick(None)
    second = bench.tick(first.cursor)
    assert not requested(first)
    [key] = requested(second)
    assert bench.run(key).success, bench.upload(key).reason
    assert bench.upload(key).status is UploadStatus.SUCCEEDED
    assert pl.read_parquet(bench.home.upload(key).finished.items).height == 6
    assert not requested(bench.tick(second.cursor)), "the same content again does nothing"

    put(f"{inbox}/rivers.zip", zipped(tmp_path, pairs(7)))
    third = bench.tick(bench.tick(second.cursor).cursor)
    [newer] = requested(third)
    assert newer != key
    assert bench.run(newer).success

    log = str([bench.instance.all_logs(run.run_id) for run in bench.instance.get_runs()])
    assert SECRET not in log
    assert SECRET.encode() not in b"".join(bytes_below(bench.home.root).values())


def test_an_archive_in_a_folder_of_the_prefix_that_comes_later(
    bench: Bench, inbox: str, tmp_path: Path
) -> None:
    put(f"{inbox}/rivers.yaml", manifest("rivers", dataset_url="archives/of rivers.zip"))
    result = bench.tick(bench.tick(None).cursor)
    assert bench.upload("rivers").code == "URL_UNREACHABLE"
    put(f"{inbox}/archives/of rivers.zip", zipped(tmp_path, pairs(4)))
    [key] = requested(bench.tick(bench.tick(result.cursor).cursor))
    assert [upload.key for upload in bench.uploads()] == [key], "the failure is forgotten"


def test_a_release_as_a_tar_in_a_prefix_is_imported_like_one_in_a_folder(
    bench: Bench, inbox: str, tmp_path: Path
) -> None:
    labels = {"a": feature({"road": [box(1, 1, 4, 5)]}), "b": feature({"road": []})}
    for name in ("roads.tar.gz", "tracks.tar"):
        put(f"{inbox}/{name}", tar_gz(tmp_path / name, release_files(labels)).read_bytes())
    put(f"{inbox}/tiles.tar.gz", tar_of(tmp_path / "tiles.tar.gz", pairs(4)).read_bytes())
    put(f"{inbox}/broken.tar.gz", tar_gz(tmp_path / "roads", release_files(labels)).read_bytes()[:99])
    second = bench.tick(bench.tick(None).cursor)
    starts = {request.partition_key.partition("@")[0]: request for request in second.run_requests or []}
    assert {name: request.job_name for name, request in starts.items()} == {
        "roads": "import_release",
        "tracks": "import_release",
    }
    assert not bench.tick(second.cursor).run_requests
    with closing(bench.factory.registry()) as registry:
        key = starts["roads"].partition_key
        policy = IntakePolicy.of_home(bench.home)
        collection, report = import_received(registry, bench.home, key, policy)
    assert (collection.name, report.items) == ("roads", 2)
    assert SECRET.encode() not in b"".join(bytes_below(bench.home.root).values())


def test_both_kinds_of_inbox_stand_beside_each_other(bench: Bench, inbox: str, tmp_path: Path) -> None:
    bench.drop("here", pairs(4))
    other = tmp_path / "other"
    other.mkdir()
    zip_of(other / "there.zip", pairs(5))
    (other / "there.yaml").write_bytes(manifest("there"))
    put(f"{inbox}/far.zip", zipped(tmp_path, pairs(6)))
    put(f"{inbox}/far.yaml", manifest("far"))
    put(f"{inbox}/.hidden.yaml", b"purpose: [")
    put(f"{inbox}/bad.yml", b"purpose: [")
    bench.allow(inbox=[inbox, str(other)])
    result = bench.tick(bench.tick(None).cursor)
    assert {key.partition("@")[0] for key in requested(result)} == {"here", "far", "there"}
    assert bench.upload("bad").code == "MANIFEST_INVALID"


def test_many_manifests_in_a_prefix_are_each_started_once_within_the_time_of_a_tick(
    bench: Bench, inbox: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "UPLOADS_PER_BATCH", 10)
    put(f"{inbox}/set.zip", zipped(tmp_path, pairs(2)))
    count = 100
    for number in range(count):
        put(f"{inbox}/set-{number}.yaml", manifest(f"set-{number}", dataset_url="set.zip"))
    started: list[str] = []
    seconds: list[float] = []
    cursor = None
    deadline = time.monotonic() + 120
    while len(started) < count and time.monotonic() < deadline:
        began = time.monotonic()
        result = bench.tick(cursor)
        seconds.append(time.monotonic() - began)
        # A tick waits for nothing that an earlier one has started; the daemon leaves seconds between them.
        time.sleep(0.1)
        assert len(requested(result)) <= automation.MOST_RUNS_PER_TICK
        started += requested(result)
        cursor = str(result.cursor)
    assert len(started) == len(set(started)) == count
    assert not requested(bench.tick(cursor))
    assert max(seconds) < 60, "Dagster ends a tick after 60 seconds"


@pytest.mark.usefixtures("inbox")
def test_a_store_that_does_not_answer_holds_up_no_other_inbox_and_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "SECONDS_TO_LIST", 1.0)
    bench.drop("rivers", pairs(4))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        first = bench.tick(None)
        assert "in box does not respond in time" in str(first.skip_reason)
        [key] = requested(bench.tick(first.cursor))
    assert key.startswith("rivers@")


def test_what_was_taken_in_is_still_known_after_the_store_was_away(
    bench: Bench, inbox: str, tmp_path: Path
) -> None:
    put(f"{inbox}/rivers.zip", zipped(tmp_path, pairs(4)))
    put(f"{inbox}/rivers.yaml", manifest("rivers"))
    known = bench.tick(bench.tick(None).cursor)
    bench.allow(inbox=[inbox.replace("uploads", "no-such-bucket"), inbox])
    away = bench.tick(known.cursor)
    assert "no-such-bucket" in str(away.skip_reason)
    assert away.cursor == known.cursor


def test_an_inbox_that_is_neither_folder_nor_store_is_told(bench: Bench) -> None:
    bench.allow(inbox="ftp://host/inbox")
    assert "neither a folder nor a prefix" in str(bench.tick(None).skip_reason)


def test_archives_in_a_store_are_read_in_parts(folder: str, tmp_path: Path) -> None:
    files = {name: content + bytes(100_000) for name, content in pairs(8).items()}
    content = zipped(tmp_path, files)
    put(f"{folder}/a.zip", content)
    with open_source(f"{folder}/a.zip", IntakePolicy()) as source:
        assert source.size == len(content)
        assert source.read(1000, 50) == content[1000:1050]
        assert source.read(len(content) - 5, 50) == content[-5:]
        assert source.bytes_read == 55
        fetch(source, tmp_path / "b.zip", IntakePolicy())
    assert (tmp_path / "b.zip").read_bytes() == content
    report = prescan(f"{folder}/a.zip", ("_merged.tif",), "_mask.tif", IntakePolicy())
    assert report.passed
    assert (report.images, report.labels) == (8, 8)
    assert report.bytes_read < len(content) / 2


def test_a_tar_in_a_store_is_onboarded_by_command(folder: str, bench: Bench, tmp_path: Path) -> None:
    put(f"{folder}/archives/a.tar.gz", tar_of(tmp_path / "a.tar.gz", pairs(5)).read_bytes())
    put(f"{folder}/manifests/a.yaml", manifest("a", dataset_url="../archives/a.tar.gz"))
    upload = onboard(f"{folder}/manifests/a.yaml", bench.home)
    assert upload.status is UploadStatus.SUCCEEDED


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("missing", ["s3://uploads/none.zip", "s3://no-such-bucket/a.zip"])
def test_an_archive_that_is_not_there(missing: str) -> None:
    with pytest.raises(OnboardingError) as error:
        open_source(missing, IntakePolicy())
    assert error.value.code == "URL_UNREACHABLE"
    assert SECRET not in str(error.value)


def test_a_manifest_that_is_not_there_or_too_large(folder: str) -> None:
    with pytest.raises(OnboardingError, match="it does not exist, or access is denied"):
        UploadManifest.load(f"{folder}/none.yaml")
    put(f"{folder}/a.yaml", bytes(5 << 20))
    with pytest.raises(OnboardingError, match="5242880 bytes"):
        UploadManifest.load(f"{folder}/a.yaml")


def test_the_state_of_a_drop_follows_manifest_and_archive(folder: str) -> None:
    assert list_entries(folder) == []
    states = set()
    for name, content in [("a.yaml", manifest("a")), ("a.zip", b"1"), ("a.zip", b"2"), ("b.zip", b"3")]:
        put(f"{folder}/{name}", content)
        [drop] = list_entries(folder)
        states.add(drop.state)
    assert drop.manifest == f"{folder}/a.yaml"
    assert len(states) == 3, "another object beside changes nothing"


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("a.zip", "s3://bucket/in/a.zip"),
        ("sub/a b.zip", "s3://bucket/in/sub/a b.zip"),
        ("../a.zip", "s3://bucket/a.zip"),
        ("../../../a.zip", "s3://bucket/a.zip"),
        ("s3://other/a.zip", "s3://other/a.zip"),
        ("https://host/a.zip", "https://host/a.zip"),
        ("/data/a.zip", "/data/a.zip"),
    ],
)
def test_a_relative_address_starts_where_the_manifest_lies(address: str, meant: str) -> None:
    assert resolve_beside("s3://bucket/in/a.yaml", address) == meant


def test_a_manifest_in_a_store_leads_to_no_file_of_this_machine(
    bench: Bench, inbox: str, tmp_path: Path
) -> None:
    zip_of(tmp_path / "private.zip", pairs(4))
    put(f"{inbox}/rivers.yaml", manifest("rivers", dataset_url=str(tmp_path / "private.zip")))
    bench.tick(bench.tick(None).cursor)
    assert bench.upload("rivers").code == "ADDRESS_NOT_ALLOWED"


def test_the_sensor_says_why_it_waits(bench: Bench) -> None:
    bench.allow(inbox="s3://no-such-bucket/in")
    context = dg.build_sensor_context(instance=bench.instance)
    assert isinstance(automation.new_uploads(context, factory=bench.factory), dg.SensorResult)
