"""An upload whose process was killed is taken up again: by itself, by the command, or it is deleted."""

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.orchestration import run_lock, run_status
from factory_pipeline.orchestration.onboarding import abandoned, sensors
from factory_pipeline.orchestration.onboarding.abandoned import MOST_DEATHS, abandoned_uploads
from factory_pipeline.orchestration.run_status import BATCH_TAG, PARTITION_TAG
from factory_pipeline.runs.instance import open_instance, prepare_home
from factory_pipeline.runs.onboarding import onboard, remove
from factory_pipeline.storage.atomic import file_lock
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import MANIFEST, Bench, requested
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process ends no run a moment later."""
    monkeypatch.setattr(run_lock, "SECONDS_TO_END", 0.0)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Bench]:
    """A home with an instance of its own on disk, as of a user."""
    home = FactoryHome(tmp_path / "home")
    prepare_home(home)
    with open_instance(home) as instance:
        yield Bench(home, instance)


def tick(bench: Bench) -> dg.SensorResult:
    answer = abandoned_uploads(dg.build_sensor_context(instance=bench.instance), factory=bench.factory)
    assert isinstance(answer, dg.SensorResult)
    return answer


def started(bench: Bench, **tags: str) -> dg.DagsterRun:
    """A run that has begun, of a process that is not there."""
    run = bench.create_run("onboard_dataset", **tags)
    with file_lock(bench.home.run_lock(run.run_id)):
        pass
    return run


def status(bench: Bench, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = bench.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def onboard_and_hang(manifest: Path, home: FactoryHome, hangs: Path) -> None:
    def hang(_: Onboarding) -> None:
        hangs.touch()
        time.sleep(600)

    Onboarding.prescan = hang  # type: ignore[assignment, method-assign]
    onboard(manifest, home)


def test_a_killed_command_is_taken_up_by_the_sensor_and_by_the_command(kept: Bench, tmp_path: Path) -> None:
    zip_of(tmp_path / "a.zip", pairs(4))
    manifest = tmp_path / "a.yaml"
    manifest.write_text(yaml.safe_dump({**MANIFEST, "dataset_url": "a.zip"}))
    hangs = tmp_path / "hangs"
    child = multiprocessing.get_context("spawn").Process(
        target=onboard_and_hang, args=(manifest, kept.home, hangs)
    )
    child.start()
    while not hangs.exists():
        assert child.is_alive()
        time.sleep(0.1)
    [upload] = kept.uploads()
    assert upload.status is UploadStatus.ONBOARDING
    assert not requested(tick(kept)), "its process is alive"
    with pytest.raises(OnboardingError, match="is being onboarded"):
        remove(upload.key, kept.home)

    child.kill()
    child.join()
    [request] = tick(kept).run_requests or []
    assert (request.partition_key, request.job_name) == (upload.key, "onboard_dataset")
    allowed = request.run_config["resources"]["factory"]["config"]
    assert allowed["all_folders"] is True, "the command may read folders that an inbox may not name"
    [run] = kept.instance.get_runs()
    assert status(kept, run) is dg.DagsterRunStatus.FAILURE
    assert not requested(tick(kept))

    assert onboard(manifest, kept.home).status is UploadStatus.SUCCEEDED


def test_an_upload_of_a_dead_process_can_be_deleted(kept: Bench) -> None:
    key = kept.take_in(kept.drop("rivers", pairs(2)))
    run = started(kept, **{PARTITION_TAG: key})
    with (
        file_lock(kept.home.run_lock(run.run_id)),
        pytest.raises(OnboardingError, match="is being onboarded"),
    ):
        remove(key, kept.home)
    remove(key, kept.home)
    assert not kept.uploads()
    assert status(kept, run) is dg.DagsterRunStatus.FAILURE


def test_a_dead_batch_goes_on_with_what_it_did_not_come_to(bench: Bench) -> None:
    keys = [bench.take_in(bench.drop(f"set-{number}", pairs(2))) for number in range(3)]
    assert bench.run(keys[0]).success
    batch = started(bench, **{BATCH_TAG: ",".join(keys)})
    single = started(bench, **{PARTITION_TAG: keys[1]})
    assert requested(tick(bench)) == [keys[1], keys[2]], "one by itself, in case that it kills its process"
    assert status(bench, batch) is status(bench, single) is dg.DagsterRunStatus.FAILURE


def test_what_kills_its_process_each_time_comes_to_an_end(bench: Bench) -> None:
    key = bench.take_in(bench.drop("rivers", pairs(2)))
    for death in range(1, MOST_DEATHS + 1):
        started(bench, **{PARTITION_TAG: key})
        assert len(requested(tick(bench))) == (death < MOST_DEATHS)
    assert str(bench.upload(key).reason).startswith("Its process was killed 3 times")


@pytest.mark.parametrize("state", ["NOT_STARTED", "STARTING", "STARTED"])
def test_a_run_that_has_just_been_launched_is_given_time(
    bench: Bench, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = bench.take_in(bench.drop("rivers", pairs(2)))
    run = bench.create_run("onboard_dataset", state, **{PARTITION_TAG: key})
    assert not requested(tick(bench))
    assert status(bench, run) is dg.DagsterRunStatus(state)
    monkeypatch.setattr(run_status, "SECONDS_TO_BEGIN", 0.0)
    assert requested(tick(bench)) == [key]


def test_nothing_is_left_of_the_locks_of_ended_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_status, "MOST_ASKED", 2)
    succeeded, failed, ending = (
        bench.create_run("onboard_dataset", state) for state in ("SUCCESS", "FAILURE", "SUCCESS")
    )
    runs, unknown = (succeeded, failed, ending), "of-another-instance"
    for run_id in (*(run.run_id for run in runs), unknown):
        with file_lock(bench.home.run_lock(run_id)):
            pass
    with file_lock(bench.home.run_lock(ending.run_id)):
        tick(bench)
        assert set(bench.home.locked_runs()) == {ending.run_id, unknown}, "its process is about to end"
    tick(bench)
    assert bench.home.locked_runs() == [unknown]


def test_runs_that_hold_no_lock_are_left_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_status, "SECONDS_TO_BEGIN", 0.0)
    run = bench.create_run("finetune_model", **{PARTITION_TAG: "rivers@00000000"})
    tick(bench)
    assert status(bench, run) is dg.DagsterRunStatus.STARTED


def test_a_command_that_was_killed_before_its_run_began_is_told(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.drop("mine", pairs(2))
    manifest = bench.home.upload_inbox / "mine.yaml"
    elsewhere = tmp_path / "mine.yaml"
    elsewhere.write_text(manifest.read_text().replace("mine.zip", str(manifest.with_suffix(".zip"))))
    key = bench.take_in(elsewhere)
    tick(bench)
    assert bench.upload(key).status is UploadStatus.PENDING
    monkeypatch.setattr(abandoned, "TIME_TO_START", abandoned.TIME_TO_START * 0)
    tick(bench)
    assert str(bench.upload(key).reason).endswith("run it again.")


def test_a_run_that_a_person_ends_tells_all_uploads_of_its_batch(bench: Bench) -> None:
    keys = [bench.take_in(bench.drop(f"set-{number}", pairs(2))) for number in range(2)]
    run = started(bench, **{BATCH_TAG: ",".join(keys)})
    sensors.onboarding_died(bench.fail_run(run))
    assert {bench.upload(key).status for key in keys} == {UploadStatus.FAILED}
