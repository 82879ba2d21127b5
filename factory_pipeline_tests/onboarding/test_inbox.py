"""What the sensor of the inbox starts, and what it leaves alone."""

import socket
import time

import dagster as dg
import pytest

from factory_pipeline.automation import uploads as automation
from factory_pipeline.onboard import remove
from factory_pipeline.registry.records import UploadStatus
from factory_pipeline_tests.built import environment
from factory_pipeline_tests.onboarding.factory import Bench, requested
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


def test_a_thousand_manifests_at_once_are_each_started_exactly_once(bench: Bench) -> None:
    first = bench.drop("set", pairs(2))
    text = first.read_text()
    first.unlink()
    for number in range(1000):
        first.with_name(f"set-{number}.yaml").write_text(text.replace("name: set", f"name: set-{number}"))
    started: list[str] = []
    result = bench.tick(None)
    while '"seen"' in str(result.cursor):
        began = time.monotonic()
        result = bench.tick(result.cursor)
        assert time.monotonic() - began < 60, "Dagster ends a tick after 60 seconds"
        assert len(requested(result)) <= automation.MOST_RUNS_PER_TICK
        started += requested(result)
    assert len(started) == len(set(started)) == 1000
    assert sorted(bench.instance.get_dynamic_partitions("datasets")) == sorted(started)
    assert not requested(bench.tick(result.cursor))


def test_a_host_that_never_answers_holds_up_no_other_upload(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.allow(private_addresses=True, retries=0, timeout_s=2)
    monkeypatch.setattr(automation, "SECONDS_PER_TICK", 0.0)
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
    with environment():
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
    run = bench.instance.create_run_for_job(
        job_def=_job(), tags={"dagster/partition": key}, status=dg.DagsterRunStatus.STARTED
    )
    bench.instance.report_run_failed(run)
    [event] = [
        entry.dagster_event
        for entry in bench.instance.all_logs(run.run_id)
        if entry.is_dagster_event and entry.dagster_event_type is dg.DagsterEventType.RUN_FAILURE
    ]
    context = dg.build_run_status_sensor_context(
        sensor_name="onboarding_died",
        dagster_event=event,
        dagster_instance=bench.instance,
        dagster_run=bench.instance.get_run_by_id(run.run_id),
        resources={"factory": bench.factory},
    )
    automation.onboarding_died(context)
    upload = bench.upload(key)
    assert upload.status is UploadStatus.FAILED
    assert str(upload.reason).startswith("The run ended before the dataset was finished")


def _job() -> dg.JobDefinition:
    from factory_pipeline.definitions import defs

    return defs.resolve_job_def("onboard_dataset")
