"""The tables that Dagster makes when a home is first used."""

import gc
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from factory_pipeline.errors import HomeError
from factory_pipeline.orchestration.partitions import BATCHES
from factory_pipeline.runs.instance import execute_job, load_definitions, open_instance, prepare_home
from factory_pipeline.storage.layout import FactoryHome

pytestmark = pytest.mark.integration
"""Dagster makes its tables in each."""


def leave_half(home: FactoryHome) -> None:
    """Have the tables be as a full disk leaves them."""
    prepare_home(home)
    with closing(sqlite3.connect(home.dagster / "history" / "runs" / "index.db")) as tables:
        tables.execute("DROP TABLE dynamic_partitions")
    home.dagster_ready.unlink()


def test_tables_that_were_left_half_made_are_made_again(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    leave_half(home)
    (home.dagster / ".making").touch()
    prepare_home(home)
    assert home.dagster_ready.exists()
    assert not (home.dagster / ".making").exists()
    with open_instance(home) as instance:
        assert instance.get_dynamic_partitions(BATCHES) == []


def test_a_history_of_other_origin_is_never_removed(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    leave_half(home)
    with pytest.raises(HomeError, match="tables could not be made"):
        prepare_home(home)
    assert (home.dagster / "history" / "runs" / "index.db").exists()
    assert not home.dagster_ready.exists()


def test_loading_definitions_leaves_the_collector_of_the_process_as_it_was() -> None:
    was_collecting = gc.isenabled()
    try:
        for collects in (True, False):
            (gc.enable if collects else gc.disable)()
            assert load_definitions().resolve_job_def("build_dataset").name == "build_dataset"
            assert gc.isenabled() is collects
    finally:
        (gc.enable if was_collecting else gc.disable)()


def test_settings_that_are_given_become_the_homes(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    for runs in (7, 9):
        given = tmp_path / "dagster.yaml"
        given.write_text(f"concurrency: {{runs: {{max_concurrent_runs: {runs}}}}}\n")
        prepare_home(home, given)
        assert home.dagster_config.read_text() == given.read_text()
        prepare_home(home)
        with open_instance(home) as instance:
            assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == runs


handled: list[int] = []


def handle(number: int, _: object) -> None:
    """A handler of the caller's own."""
    handled.append(number)


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put the handlers back that a test sets."""
    handled.clear()
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("callers", "sent", "ends"),
    [
        ({}, signal.SIGINT, True),
        ({}, signal.SIGTERM, True),
        ({signal.SIGINT: signal.SIG_IGN}, signal.SIGINT, False),
        ({signal.SIGINT: signal.SIG_IGN}, signal.SIGTERM, True),
        ({signal.SIGTERM: handle}, signal.SIGTERM, False),
        ({signal.SIGTERM: handle}, signal.SIGINT, True),
        ({signal.SIGINT: handle}, signal.SIGINT, False),
    ],
)
def test_a_signal_that_the_caller_ignores_or_handles_is_the_callers(
    callers: dict[int, Any], sent: int, ends: bool
) -> None:
    @dg.op
    def interrupted() -> None:
        os.kill(os.getpid(), sent)
        time.sleep(0)  # A handler is called here.

    @dg.job
    def job() -> None:
        interrupted()

    installed = {**USUAL, **callers}
    for number, handler in installed.items():
        signal.signal(number, handler)
    with dg.DagsterInstance.ephemeral() as instance:
        if ends:
            with pytest.raises(KeyboardInterrupt):
                execute_job(job, instance, {})
        else:
            assert execute_job(job, instance, {}).success
    assert {number: signal.getsignal(number) for number in installed} == installed
    assert handled == ([sent] if installed[sent] is handle else [])
