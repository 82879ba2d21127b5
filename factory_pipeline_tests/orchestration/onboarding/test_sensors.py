"""What the sensor of the inbox starts, and what it leaves alone."""

import os
import socket
import time
from contextlib import ExitStack

import dagster as dg
import pytest
import yaml

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.definitions import defs
from factory_pipeline.onboarding.list_inbox import InboxEntry
from factory_pipeline.orchestration.onboarding import sensors as automation
from factory_pipeline.orchestration.run_status import BATCH_TAG, PARTITION_TAG
from factory_pipeline.runs.onboarding import remove
from factory_pipeline_tests.archives.servers import host, trickle
from factory_pipeline_tests.onboarding.factory import MANIFEST, Bench, requested
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of

BARE = "purpose: Regression\ntraining_data_suffixes: .tif\nlabel_suffix: .png\n"


def test_a_manifest_starts_one_run_once_it_is_whole(bench: Bench) -> None:
    bench.drop("rivers", pairs(4))
    first = bench.tick(None)
    assert not requested(first)
    second = bench.tick(first.cursor)
    [key] = requested(second)
    assert key.startswith("rivers@")
    assert bench.instance.get_dynamic_partitions("datasets") == [key]
    assert bench.upload(key).status is UploadStatus.PENDING
    assert bench.run(key).success
    assert not requested(bench.tick(second.cursor))


def test_the_same_content_again_does_nothing(bench: Bench) -> None:
    manifest = bench.drop("rivers", pairs(4))
    second = bench.tick(bench.tick(None).cursor)
    [key] = requested(second)
    assert bench.run(key).success
    copy = manifest.with_name("copy.yaml")
    copy.write_text(manifest.read_text())
    manifest.touch()
    cursor = second.cursor
    for _ in range(3):
        result = bench.tick(cursor)
        cursor = result.cursor
        assert not requested(result)
    assert [upload.key for upload in bench.uploads()] == [key]


def test_a_lost_cursor_starts_nothing_twice(bench: Bench) -> None:
    bench.drop("rivers", pairs(4))
    [request] = bench.tick(bench.tick(None).cursor).run_requests
    [again] = bench.tick(bench.tick(None).cursor).run_requests
    assert again.run_key == request.run_key, "Dagster starts a run key once"
    assert bench.run(request.partition_key).success
    assert not requested(bench.tick(bench.tick(None).cursor))


def test_changed_content_makes_a_new_version(bench: Bench) -> None:
    bench.drop("rivers", pairs(4))
    second = bench.tick(bench.tick(None).cursor)
    bench.drop("rivers", pairs(5))
    third = bench.tick(second.cursor)
    fourth = bench.tick(third.cursor)
    assert [len(requested(result)) for result in (second, third, fourth)] == [1, 0, 1]
    assert requested(second) != requested(fourth)
    assert {upload.name for upload in bench.uploads()} == {"rivers"}


def test_what_is_still_being_written_waits(bench: Bench) -> None:
    manifest = bench.drop("rivers", pairs(4))
    archive = manifest.with_suffix(".zip")
    text, content = manifest.read_text(), archive.read_bytes()
    cursor = None
    for step in range(1, 4):
        archive.write_bytes(content[: len(content) * step // 4])
        manifest.write_text(text[: len(text) * step // 4])
        result = bench.tick(cursor)
        cursor = result.cursor
        assert not requested(result)
    assert not bench.uploads()
    archive.write_bytes(content)
    manifest.write_text(text)
    result = bench.tick(bench.tick(cursor).cursor)
    assert len(requested(result)) == 1


def test_an_archive_that_comes_later_than_its_manifest_is_onboarded(bench: Bench) -> None:
    manifest = bench.drop("rivers")
    result = bench.tick(bench.tick(None).cursor)
    [upload] = bench.uploads()
    assert (upload.status, upload.code) == (UploadStatus.FAILED, "URL_UNREACHABLE")
    zip_of(manifest.with_suffix(".zip"), pairs(4))
    [key] = requested(bench.tick(bench.tick(result.cursor).cursor))
    assert [upload.key for upload in bench.uploads()] == [key], "the failure is forgotten"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("purpose: [", "MANIFEST_INVALID"),
        ("purpose: Segmentation\ndataset_url: https://user:s3cr3t@host/a.zip", "MANIFEST_INVALID"),
        (BARE + 'dataset_url: "a\\0.zip"', "URL_UNREACHABLE"),
        (BARE + "dataset_url: ftp://host/a.zip", "SCHEME_NOT_ALLOWED"),
    ],
)
def test_a_bad_manifest_is_registered_as_failed(bench: Bench, text: str, code: str) -> None:
    manifest = bench.drop("good", pairs(4)).with_name("bad.yaml")
    manifest.write_text(text)
    result = bench.tick(bench.tick(None).cursor)
    assert [key.partition("@")[0] for key in requested(result)] == ["good"]
    upload = bench.upload("bad")
    assert (upload.status, upload.code) == (UploadStatus.FAILED, code)
    assert upload.reason
    assert "s3cr3t" not in str(upload)


def test_hundreds_of_manifests_at_once_are_each_started_exactly_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "UPLOADS_PER_BATCH", 10)
    first = bench.drop("set", pairs(2))
    text = first.read_text()
    first.unlink()
    for number in range(250):
        first.with_name(f"set-{number}.yaml").write_text(text.replace("name: set", f"name: set-{number}"))
    started: list[str] = []
    result = bench.tick(None)
    while '"seen"' in str(result.cursor):
        began = time.monotonic()
        result = bench.tick(result.cursor)
        assert time.monotonic() - began < 60, "Dagster ends a tick after 60 seconds"
        assert len(result.run_requests or []) <= automation.MOST_RUNS_PER_TICK
        started += requested(result)
    assert len(started) == len(set(started)) == 250
    assert sorted(bench.instance.get_dynamic_partitions("datasets")) == sorted(started)
    assert not requested(bench.tick(result.cursor))


def test_a_host_that_never_answers_holds_up_no_other_upload(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.allow(private_addresses=True, retries=0, timeout_s=2)
    monkeypatch.setattr(automation, "SECONDS_PER_TICK", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bench.drop("a-silent", None, dataset_url=f"http://127.0.0.1:{silent.getsockname()[1]}/a.zip")
        bench.drop("rivers", pairs(4))
        result = bench.tick(bench.tick(None).cursor)
        assert [key.partition("@")[0] for key in requested(result)] == ["rivers"]
        while '"seen"' in str(result.cursor):
            result = bench.tick(result.cursor)
    assert bench.upload("a-silent").code == "URL_UNREACHABLE"


def test_a_deleted_upload_is_not_brought_back_by_its_manifest(bench: Bench) -> None:
    key = bench.onboard("rivers", pairs(4))
    remove(key, bench.home)
    assert not requested(bench.tick(bench.tick(None).cursor))
    assert not bench.uploads()
    assert not bench.home.datasets.exists() or not list(bench.home.datasets.iterdir())


def test_an_empty_home_has_nothing_to_do(bench: Bench) -> None:
    assert not requested(bench.tick(None))


def test_a_policy_that_is_not_valid_is_a_reason_not_an_error(bench: Bench) -> None:
    bench.allow(schemes=3)
    answer = automation.new_uploads(dg.build_sensor_context(instance=bench.instance), factory=bench.factory)
    assert isinstance(answer, dg.SkipReason)


def test_a_run_that_died_is_told_in_the_registry(bench: Bench) -> None:
    key = bench.take_in(bench.drop("rivers", pairs(4)))
    run = bench.create_run("onboard_dataset", **{PARTITION_TAG: key})
    automation.onboarding_died(bench.fail_run(run))
    upload = bench.upload(key)
    assert upload.status is UploadStatus.FAILED
    assert str(upload.reason).startswith("The run ended before the dataset was finished")


def test_a_deleted_upload_that_is_dropped_again_is_onboarded_again(bench: Bench) -> None:
    key = bench.onboard("rivers", files := pairs(4))
    cursor = bench.tick(bench.tick(None).cursor).cursor
    remove(key, bench.home)
    lying = bench.tick(bench.tick(cursor).cursor)
    assert not requested(lying)
    manifest = bench.home.upload_inbox / "rivers.yaml"
    times = manifest.stat().st_mtime
    bench.drop("rivers", files)
    os.utime(manifest, (times, times))  # as a copy that keeps its time of modification
    again = bench.tick(bench.tick(lying.cursor).cursor)
    assert requested(again) == [key]
    assert bench.upload(key).status is UploadStatus.PENDING
    assert bench.run(key).success
    assert bench.upload(key).status is UploadStatus.SUCCEEDED


def test_many_small_uploads_share_processes_and_large_ones_do_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "UPLOADS_PER_BATCH", 3)
    for number in range(6):
        bench.drop(f"set-{number}", pairs(2))
    size = (bench.home.upload_inbox / "set-0.zip").stat().st_size
    bench.drop("large", pairs(8))
    monkeypatch.setattr(automation, "SMALL_BYTES", size + 100)
    result = bench.tick(bench.tick(None).cursor)
    jobs = [
        (request.job_name, len(request.tags.get(BATCH_TAG, "").split(",")))
        for request in result.run_requests or []
    ]
    assert jobs == [("onboard_dataset", 1), ("onboard_batch", 3), ("onboard_batch", 3)]
    assert len(set(requested(result))) == 7

    keys = requested(result)[1:4]
    batch = defs.resolve_job_def("onboard_batch").execute_in_process(
        instance=bench.instance,
        run_config=(result.run_requests or [])[1].run_config
        | {"resources": {"factory": {"config": {"home": str(bench.home.root)}}}},
    )
    assert batch.success
    assert {bench.upload(key).status for key in keys} == {UploadStatus.SUCCEEDED}
    runs = bench.instance.get_runs(dg.RunsFilter(job_name="onboard_dataset"))
    assert sorted(run.tags["dagster/partition"] for run in runs) == sorted(keys)


def test_slow_hosts_hold_up_neither_other_uploads_nor_the_ticks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight hosts that send a byte a second."""
    bench.allow(private_addresses=True, retries=0, timeout_s=3)
    monkeypatch.setattr(automation, "SECONDS_PER_TICK", 1.0)
    with ExitStack() as hosts:
        for number in range(8):
            bench.drop(f"a-slow-{number}", None, dataset_url=f"{hosts.enter_context(host(trickle))}/a.zip")
        bench.drop("rivers", pairs(2))
        result = bench.tick(bench.tick(None).cursor)
        assert [key.partition("@")[0] for key in requested(result)] == ["rivers"]
        bench.drop("lakes", pairs(3))
        result = bench.tick(bench.tick(result.cursor).cursor)
        assert [key.partition("@")[0] for key in requested(result)] == ["lakes"]
        while '"seen"' in str(result.cursor):
            result = bench.tick(result.cursor)
            time.sleep(0.1)
    slow = [upload for upload in bench.uploads() if upload.name.startswith("a-slow")]
    assert {upload.code for upload in slow} == {"HOST_TOO_SLOW"}
    assert len(slow) == 8


def test_one_host_with_many_uploads_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automation, "MOST_REMOTE", 6)
    crowd = [InboxEntry(f"a-{number}.yaml", "", host="crowded.org") for number in range(20)]
    others = [InboxEntry("b.yaml", "", host="other.org"), InboxEntry("c.yaml", "")]
    taken = automation.next_in_turn([*crowd, *others])
    assert taken == [*crowd[: automation.MOST_OF_ONE_HOST], *others]


def test_an_archive_without_a_manifest_is_told_until_it_has_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.home.upload_inbox.mkdir(parents=True)
    archive = zip_of(bench.home.upload_inbox / "my tiles.zip", pairs(2))
    result = bench.tick(bench.tick(None).cursor)
    assert not bench.uploads(), "its manifest may be on its way"
    monkeypatch.setattr(automation, "SECONDS_ALONE", 0.0)
    result = bench.tick(result.cursor)
    [upload] = bench.uploads()
    assert (upload.status, upload.code) == (UploadStatus.FAILED, "MANIFEST_MISSING")
    assert "my tiles.zip is in the inbox without a manifest" in str(upload.reason)
    assert "my tiles.zip" in str(result.skip_reason)
    archive.with_suffix(".yaml").write_text(yaml.safe_dump({**MANIFEST, "dataset_url": "my tiles.zip"}))
    [key] = requested(bench.tick(bench.tick(result.cursor).cursor))
    assert [upload.key for upload in bench.uploads()] == [key]
    archive.with_suffix(".yaml").unlink()
    bench.tick(result.cursor)
    assert [upload.key for upload in bench.uploads()] == [key], "it was taken in: no failure"


def test_a_broken_manifest_is_told_in_the_tick_and_what_is_watched_is_shown(bench: Bench) -> None:
    bench.drop("bad").write_text("purpose: [")
    result = bench.tick(bench.tick(None).cursor)
    assert "bad.yaml: The manifest bad.yaml is not YAML" in str(result.skip_reason)
    assert f"Watched: {bench.home.upload_inbox}." in str(result.skip_reason)
    assert "Watched:" in str(bench.tick(result.cursor).skip_reason)
