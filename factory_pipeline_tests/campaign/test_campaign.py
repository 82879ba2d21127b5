"""A short campaign; `python -m factory_pipeline_tests.campaign` is a long one."""

import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random

import pytest

from factory_pipeline.errors import StoreError
from factory_pipeline.orchestration.onboarding.abandoned import MOST_DEATHS
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.object_store import Bucket
from factory_pipeline.synthetic.faults import Faults
from factory_pipeline_tests.campaign.__main__ import Result, bench_in, draw_trial, shown, try_all
from factory_pipeline_tests.campaign.contents import contents_of, differences
from factory_pipeline_tests.campaign.daemon import is_done
from factory_pipeline_tests.campaign.faults import (
    BESIDE,
    CLOCK,
    DAEMON,
    DISK,
    KILLED,
    OF_SERVER,
    READ_ONLY,
    fit,
)
from factory_pipeline_tests.campaign.faults import KINDS as ALL_KINDS
from factory_pipeline_tests.campaign.store import faulty_store
from factory_pipeline_tests.campaign.works import WORKS

pytestmark = pytest.mark.integration

CHEAP = ("import", "version")
KINDS = (KILLED, *OF_SERVER, DISK, READ_ONLY, CLOCK, BESIDE)
"""Without those that need a registry on a server."""


def test_twenty_faults_lose_nothing(tmp_path: Path, small_archive: Path) -> None:
    works = [work for work in WORKS if work.name in CHEAP]
    result = Result()
    with bench_in(tmp_path, small_archive, with_postgres=False, with_store=False) as bench:
        try_all(bench, count(), 20, KINDS, works, result)
    assert not result.failed, result.failed
    assert result.table.total() >= 20
    assert shown(result.table).count("\n") >= 8, "kinds of faults, by lines of the table"


def test_daemons_are_killed_where_they_work_and_nowhere_else() -> None:
    trials = [draw_trial(Random(seed), ALL_KINDS, WORKS) for seed in range(100)]
    assert {work.name for work, _ in trials} == {work.name for work in WORKS}
    for work, faults in trials:
        assert {fault.kind == DAEMON for fault in faults} == {work.uploads > 0}
        assert len(faults) < MOST_DEATHS or not work.uploads


def test_a_daemon_has_done_its_work_when_uploads_and_runs_have_ended(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path)
    history = home.dagster / "history" / "runs.db"
    history.parent.mkdir(parents=True)
    assert not is_done(home, 1)
    for database, table in ((home.registry, "uploads"), (history, "runs")):
        with closing(sqlite3.connect(database)) as connection:
            connection.execute(f"CREATE TABLE {table} (status TEXT)")
    for upload, run, done in (
        ("Pending", "QUEUED", False),
        ("Onboarding", "STARTED", False),
        ("Succeeded", "STARTED", False),
        ("Onboarding", "FAILURE", False),
        ("Succeeded", "SUCCESS", True),
    ):
        for database, table, status in ((home.registry, "uploads", upload), (history, "runs", run)):
            with closing(sqlite3.connect(database)) as connection, connection:
                connection.execute(f"DELETE FROM {table}")
                connection.execute(f"INSERT INTO {table} VALUES (?)", [status])
        assert is_done(home, 1) == done, (upload, run)


def test_what_differs_is_named(tmp_path: Path) -> None:
    output, home = tmp_path / "out", tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    output.mkdir()
    (output / "a.json").write_text('{"id": "4f5a87db115c4706a71debb29d75b37c", "at": "2026-11-29T13:41:14Z"}')
    (output / "b.h5").write_bytes(b"one")
    expected = contents_of(tmp_path, None)
    (output / "a.json").write_text('{"id": "db173107487c4da09fdfed523982142f", "at": "2026-11-30T13:41:14Z"}')
    (home / "dagster" / "run.db").touch()
    assert contents_of(tmp_path, None) == expected
    (output / "b.h5").write_bytes(b"two")
    (output / ".c.12ab.part.h5").touch()
    told = differences(contents_of(tmp_path, None), expected)
    assert told == ["out/.c.12ab.part.h5 is too much", "out/b.h5 is different"]
    assert differences({}, expected) == ["out/a.json is missing", "out/b.h5 is missing"]


def test_a_faulty_store_refuses_what_it_is_told_to_and_keeps_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with faulty_store() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        store.replace_contents({"out/a.h5": b"one"})
        bucket = Bucket(store.address)
        store.set_faults([fit(Faults(status=403, after=7), 2 * [""])])
        assert bucket.find("out/a.h5") is not None
        with pytest.raises(StoreError):
            bucket.find("out/a.h5")
        assert (store.requests, store.faulty) == (2, 1)
        store.set_faults(())
        assert store.contents() == {"out/a.h5": b"one"}
