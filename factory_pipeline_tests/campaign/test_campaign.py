"""A short campaign; `python -m factory_pipeline_tests.campaign` is a long one."""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.datalake.registry.schema import uploads
from factory_pipeline.datalake.registry.url import registry_url
from factory_pipeline.errors import StoreError
from factory_pipeline.orchestration.onboarding.abandoned import MOST_DEATHS
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.object_store import Bucket
from factory_pipeline.synthetic.faults import Faults
from factory_pipeline_tests.campaign import commands
from factory_pipeline_tests.campaign.__main__ import Result, bench_in, draw_trial, shown, try_all
from factory_pipeline_tests.campaign.contents import contents_of, differences
from factory_pipeline_tests.campaign.daemon import Progress
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
from factory_pipeline_tests.postgres import PostgresServer, postgres_server

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


def test_the_table_has_sums_and_homes_on_a_store_by_themselves() -> None:
    table = Counter(
        {
            (KILLED, "import", True): 2,
            (DISK, "import", True): 1,
            (DISK, "release", False): 1,
            (KILLED, "import, home on a store", True): 3,
        }
    )
    assert shown(table).split("\n\n") == [
        "|  | import | release | all |\n"
        "| --- | --- | --- | --- |\n"
        "| killed | 2 / 0 |  | 2 / 0 |\n"
        "| disk full | 1 / 0 | 0 / 1 | 1 / 1 |\n"
        "| all | 3 / 0 | 0 / 1 | 3 / 1 |",
        "|  | import | all |\n| --- | --- | --- |\n| killed | 3 / 0 | 3 / 0 |\n| all | 3 / 0 | 3 / 0 |",
    ]


def test_daemons_are_killed_where_they_work_and_nowhere_else() -> None:
    trials = [draw_trial(Random(seed), ALL_KINDS, WORKS) for seed in range(400)]
    assert {work.name for work, _ in trials} == {work.name for work in WORKS}
    for work, faults in trials:
        assert {fault.kind == DAEMON for fault in faults} == {work.uploads > 0}
        assert len(faults) < MOST_DEATHS or not work.uploads


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.mark.parametrize("on_store", [False, True])
def test_a_daemon_has_done_its_work_when_uploads_and_runs_have_ended(
    tmp_path: Path, request: pytest.FixtureRequest, on_store: bool
) -> None:
    home = FactoryHome.at("s3://campaign/home" if on_store else tmp_path)
    registry = request.getfixturevalue("postgres").new_database() if on_store else None
    progress = Progress(home, registry)
    assert not progress.has_begun(), "there are no tables"
    history = home.dagster / "history" / "runs.db"
    if not on_store:
        history.parent.mkdir(parents=True)
    schema = "dagster" if on_store else None
    runs = sa.Table("runs", sa.MetaData(), sa.Column("status", sa.Text), schema=schema)
    engines = [sa.create_engine(registry_url(registry or path)) for path in (home.registry, history)]
    if on_store:
        with engines[1].begin() as connection:
            connection.execute(sa.schema.CreateSchema("dagster"))
    uploads.create(engines[0])
    runs.create(engines[1])
    assert not progress.is_done(1)
    began = datetime(2026, 11, 29, tzinfo=UTC)
    row = {"key": "a", "name": "a", "manifest": "", "created": began, "updated": began + timedelta(seconds=5)}
    with engines[0].begin() as connection:
        connection.execute(uploads.insert().values(**row, status=UploadStatus.PENDING))
    with engines[1].begin() as connection:
        connection.execute(runs.insert().values(status="QUEUED"))
    for upload, run, done in (
        (UploadStatus.PENDING, "QUEUED", False),
        (UploadStatus.ONBOARDING, "STARTED", False),
        (UploadStatus.SUCCEEDED, "STARTED", False),
        (UploadStatus.ONBOARDING, "FAILURE", False),
        (UploadStatus.SUCCEEDED, "SUCCESS", True),
    ):
        for engine, table, status in ((engines[0], uploads, upload), (engines[1], runs, run)):
            with engine.begin() as connection:
                connection.execute(table.update().values(status=status))
        assert progress.has_begun()
        assert progress.is_done(1) == done, (upload, run)
    assert progress.seconds() == 5
    for engine in engines:
        engine.dispose()


def test_a_command_hangs_by_the_time_in_which_the_campaign_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 1.0, 2000.0, 2002.0, *range(2003, 2400)])
    monkeypatch.setattr(commands, "time", SimpleNamespace(monotonic=lambda: next(times)))
    killed: list[int] = []
    monkeypatch.setattr(commands, "kill", killed.extend)
    command = commands.Command(commands.CommandServer(), os.getpid(), tmp_path / "log")
    for _ in range(3):
        assert command.runs()
    assert command.seconds == 1 + commands.LONGEST_LOOK_S + 2
    while command.seconds < commands.LONGEST_S:
        command.runs()
        assert not killed
    command.runs()
    assert os.getpid() in killed


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
        store.set_faults([fit(Faults(status=404), [""])])
        with pytest.raises(StoreError):
            bucket.delete("out/a.h5")
        store.set_faults(())
        assert store.contents() == {"out/a.h5": b"one"}
        # What is refused is sent again.
        for is_answered, requests in ((True, 1), (False, 2)):
            store.set_faults(())
            called: list[bool] = []
            store.call_at(1, partial(called.append, True), is_answered=is_answered)
            assert bucket.find("out/a.h5") is not None
            assert (store.requests, store.faulty, called) == (requests, 1, [True]), (
                "a refused one is sent again"
            )
