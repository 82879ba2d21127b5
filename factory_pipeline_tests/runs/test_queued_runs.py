"""Runs that are for workers: a home that has none says so, and nothing waits for ever."""

from pathlib import Path

import pytest

from factory_pipeline.errors import BuildError, HomeError
from factory_pipeline.runs import queued_runs
from factory_pipeline.runs.instance import prepare_home
from factory_pipeline.runs.worker import serve_runs
from factory_pipeline.storage.layout import FactoryHome


def test_a_home_whose_runs_are_not_for_workers_says_so(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match=r"launched by DefaultRunLauncher.*names no CeleryRunLauncher"):
        serve_runs(FactoryHome(tmp_path), 1)


def test_runs_that_no_daemon_launches_are_cancelled_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_runs, "SECONDS_WITHOUT_DAEMON", 0.0)
    home = FactoryHome(tmp_path)
    prepare_home(home)
    assert not queued_runs.has_workers(home)
    with pytest.raises(BuildError, match="No daemon launches the runs of this home"):
        queued_runs.run_on_workers(home, "fuse_dataset", [{}])
    with queued_runs.open_instance(home) as instance:
        [run] = instance.get_runs()
        assert run.status.value == "CANCELED"
        assert run.job_name == "fuse_dataset"
