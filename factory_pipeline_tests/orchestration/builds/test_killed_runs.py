"""Runs of builds whose process was killed are ended, so that others take their batches up."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import MAX_RETRIES_TAG

from factory_pipeline.datalake.registry.schema import run_signs
from factory_pipeline.definitions import defs
from factory_pipeline.orchestration import run_lock
from factory_pipeline.orchestration.builds.killed_runs import killed_extractions
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_lock import held_run_lock, hold_run_lock, release_run_lock
from factory_pipeline.orchestration.run_status import DIED_TAG, PARTITION_TAG, forget_ended_runs
from factory_pipeline.storage.atomic import file_lock, is_held
from factory_pipeline_tests.postgres import PostgresServer


def test_only_a_run_whose_process_is_gone_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "SECONDS_TO_END", 0.0)
    factory = FactoryResource(home=str(tmp_path))
    home = factory.folder()
    with dg.DagsterInstance.ephemeral() as instance:

        def started(job: str, **tags: str) -> dg.DagsterRun:
            return instance.create_run_for_job(
                job_def=defs.resolve_job_def(job), tags=tags, status=dg.DagsterRunStatus.STARTED
            )

        def tick() -> str:
            answer = killed_extractions(dg.build_sensor_context(instance=instance), factory=factory)
            assert isinstance(answer, dg.SkipReason)
            return str(answer.skip_message)

        killed = started("extract_batches", **{PARTITION_TAG: "train-00000-0badcafe"})
        of_command = started("extract_batches", **{MAX_RETRIES_TAG: "0"})
        alive = started("extract_batches")
        between_steps = started("fuse_dataset")
        upload = started("onboard_dataset", **{PARTITION_TAG: "upload"})
        for run in (killed, of_command, upload):
            with file_lock(home.run_lock(run.run_id)):
                pass
        with file_lock(home.run_lock(alive.run_id)):
            told = tick()
        assert {run.run_id for run in (killed, of_command) if run.run_id in told} == {
            killed.run_id,
            of_command.run_id,
        }
        now = {run.run_id: instance.get_run_by_id(run.run_id) for run in instance.get_runs()}
        failed = {key for key, run in now.items() if run and run.status is dg.DagsterRunStatus.FAILURE}
        assert failed == {killed.run_id, of_command.run_id}
        assert between_steps.run_id not in failed, "it holds no lock between its steps"
        # Dagster starts again what the daemon started, and leaves to a command what it started.
        tags = now[killed.run_id].tags
        assert tags[DIED_TAG] == "true"
        assert MAX_RETRIES_TAG not in tags
        assert now[of_command.run_id].tags[MAX_RETRIES_TAG] == "0"
        assert tick() == f"Ended as their process is gone: {alive.run_id}."
        assert tick() == "Every run that extracts batches has a process."


def test_a_run_of_another_machine_is_ended_once_it_has_been_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer
) -> None:
    monkeypatch.setattr(run_lock, "SECONDS_TO_END", 0.0)
    monkeypatch.setattr(run_lock, "BEAT_S", 0.0)
    monkeypatch.setenv("FACTORY_REGISTRY", postgres.new_database())
    factory = FactoryResource(home=str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance, closing(factory.registry()) as registry:
        silent, alive, here = (
            instance.create_run_for_job(
                job_def=defs.resolve_job_def("extract_batches"), status=dg.DagsterRunStatus.STARTED
            )
            for _ in range(3)
        )
        now = datetime.now(UTC)
        with registry._change() as connection:
            for run, seconds in ((silent, 60), (alive, 20)):
                sign = {"holder": "another-host:7:boot-1-2", "seen": now - timedelta(seconds=seconds)}
                connection.execute(run_signs.insert().values(run_id=run.run_id, **sign))
        with held_run_lock(factory.folder(), here.run_id):
            assert not factory.folder().run_lock(here.run_id).exists(), "no file is needed"
            answer = killed_extractions(dg.build_sensor_context(instance=instance), factory=factory)
        assert isinstance(answer, dg.SkipReason)
        assert answer.skip_message == f"Ended as their process is gone: {silent.run_id}."
        assert registry.run_sign(silent.run_id) is None
        assert registry.run_sign(here.run_id) is None

        # A process that Dagster launched ends with the sign of its run in the registry.
        for run, seconds in ((silent, 60), (here, 20)):
            sign = {"holder": "another-host:7:boot-1-2", "seen": now - timedelta(seconds=seconds)}
            with registry._change() as connection:
                connection.execute(run_signs.insert().values(run_id=run.run_id, **sign))
            instance.report_run_failed(run)
        forget_ended_runs(instance, factory.folder())
        assert set(registry.run_holders()) == {alive.run_id, here.run_id}


def test_a_lock_that_is_held_already_stays_held(tmp_path: Path) -> None:
    home = FactoryResource(home=str(tmp_path)).folder()
    hold_run_lock(home, "run")
    with held_run_lock(home, "run"):
        pass
    assert is_held(home.run_lock("run"))
    release_run_lock(home, "run")
    assert not home.run_lock("run").exists()
