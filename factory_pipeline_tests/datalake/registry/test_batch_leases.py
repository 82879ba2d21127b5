"""Leases on batches: one works, the others wait, and what a dead one left is taken up."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from factory_pipeline.datalake.registry import batch_leases
from factory_pipeline.datalake.registry.batch_leases import BEAT_S, LAPSE_S, POLL_S, BatchKey
from factory_pipeline.datalake.registry.lease_holders import this_process
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.registry.schema import batch_leases as table
from factory_pipeline.errors import RegistryError
from factory_pipeline_tests.datalake.registry.factories import wait_for

KEY = BatchKey("/out", "sentinel2_chips", "train-00000")
ELSEWHERE = "another-host:7:boot-1-2"
TOKEN = "of another process"


class FakeTime:
    """A clock that moves only while somebody sleeps; what is planned happens on the way."""

    def __init__(self) -> None:
        self.now = 100.0
        self.planned: dict[float, Callable[[], object]] = {}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for moment in sorted(when for when in self.planned if when <= self.now):
            self.planned.pop(moment)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(batch_leases, "monotonic", fake.monotonic)
    monkeypatch.setattr(batch_leases, "sleep", fake.sleep)
    return fake


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Registry]:
    with closing(Registry.open(tmp_path / "registry.db")) as registry:
        yield registry


def rows(registry: Registry) -> list[tuple[str, ...]]:
    with registry._read() as connection:
        return [tuple(row) for row in connection.execute(sa.select(table))]


def held_elsewhere(registry: Registry, holder: str = ELSEWHERE) -> None:
    with registry._change() as connection:
        connection.execute(table.insert().values(**KEY._asdict(), token=TOKEN, holder=holder, beats=3))


def release(registry: Registry) -> None:
    with registry._change() as connection:
        connection.execute(table.delete())


def test_a_lease_is_there_inside_the_block_alone(home: Registry, clock: FakeTime) -> None:
    with home.batch_lease(KEY):
        [row] = rows(home)
        assert row[:3] == KEY
        assert row[4:] == (this_process(), 0)
        # Other work, on the same batch or another, is not held up.
        with home.batch_lease(KEY._replace(stage="copdem_chips")), home.batch_lease(KEY._replace(batch="b")):
            assert len(rows(home)) == 3
    assert rows(home) == []
    with pytest.raises(ZeroDivisionError), home.batch_lease(KEY):
        raise ZeroDivisionError
    assert rows(home) == []
    assert clock.now == 100.0


@pytest.mark.integration
def test_who_comes_second_waits_and_is_told_once(home: Registry, clock: FakeTime) -> None:
    held_elsewhere(home)
    for beat in range(1, 20):
        clock.planned[100 + beat * BEAT_S] = lambda: home.beat(TOKEN)
    clock.planned[100 + 20 * BEAT_S] = lambda: release(home)
    told: list[str] = []
    with home.batch_lease(KEY, told.append):
        assert clock.now == 100 + 20 * BEAT_S
        assert [row[4] for row in rows(home)] == [this_process()]
    assert told == ["another-host:7 works on train-00000; waiting for it."]


def test_the_lease_of_a_holder_that_is_silent_is_taken_over_within_a_minute(
    home: Registry, clock: FakeTime
) -> None:
    held_elsewhere(home)
    clock.planned[103.0] = lambda: home.beat(TOKEN)
    with home.batch_lease(KEY):
        assert 103 + LAPSE_S <= clock.now <= 103 + LAPSE_S + 2 * POLL_S < 163
        home.beat(TOKEN)  # The one that was taken for dead has lost it.
        assert [(row[4], row[5]) for row in rows(home)] == [(this_process(), 0)]
    assert rows(home) == []


def test_the_lease_of_a_dead_process_of_this_machine_is_taken_at_once(
    home: Registry, clock: FakeTime
) -> None:
    host, pid, identity = this_process().split(":")
    held_elsewhere(home, f"{host}:{pid}:{identity.rpartition('-')[0]}-1")
    with home.batch_lease(KEY):
        assert clock.now == 100.0


def test_the_time_that_the_database_was_away_is_not_silence(
    home: Registry, clock: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_elsewhere(home)
    look = home._look

    def away(key: BatchKey) -> object:
        if 102 <= clock.now < 102 + LAPSE_S - 5:
            raise RegistryError("away")
        return look(key)

    monkeypatch.setattr(home, "_look", away)
    with home.batch_lease(KEY):
        assert clock.now >= 102 + LAPSE_S - 5 - POLL_S + LAPSE_S
    monkeypatch.setattr(home, "_look", lambda _: (_ for _ in ()).throw(RegistryError("gone")))
    with pytest.raises(RegistryError, match="gone"), home.batch_lease(KEY):
        pass


def test_of_threads_of_one_process_one_works_at_a_time(
    home: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_leases, "POLL_S", 0.01)
    at_work, most = [0], [0]

    def work() -> None:
        with home.batch_lease(KEY):
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            time.sleep(0.01)
            at_work[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert rows(home) == []


def test_the_heart_beats_while_the_block_lasts(home: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_leases, "BEAT_S", 0.01)
    with home.batch_lease(KEY):
        wait_for(lambda: rows(home)[0][5] >= 3)


def _build(database: str, folder: str, work_s: float) -> None:
    """Do 4 batches that are not done, each with a note of who began it, as a build does."""
    batch_leases.POLL_S = 0.05
    with closing(Registry.open(database)) as registry:
        for batch in map(str, range(4)):
            with registry.batch_lease(KEY._replace(batch=batch)):
                done = Path(folder, batch)
                if not done.exists():
                    with Path(folder, "begun").open("a") as begun:
                        begun.write(f"{batch} {os.getpid()}\n")
                    time.sleep(work_s)
                    done.touch()


@pytest.mark.integration
def test_two_processes_do_each_batch_once_and_one_takes_up_what_the_killed_one_left(tmp_path: Path) -> None:
    database = str(tmp_path / "registry.db")
    Registry.open(database).close()
    spawn = multiprocessing.get_context("spawn")
    first = spawn.Process(target=_build, args=(database, str(tmp_path), 60.0))
    first.start()
    begun = tmp_path / "begun"
    wait_for(begun.exists)
    others = [spawn.Process(target=_build, args=(database, str(tmp_path), 0.2)) for _ in range(2)]
    for other in others:
        other.start()
    time.sleep(2)
    assert [line.split()[0] for line in begun.read_text().splitlines()] == ["0"]
    killed = time.monotonic()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    for other in others:
        other.join(60)
        assert other.exitcode == 0
    assert time.monotonic() - killed < 60
    first.join()
    lines = [line.split() for line in begun.read_text().splitlines()]
    assert [batch for batch, _ in lines] == ["0", "0", "1", "2", "3"]
    assert lines[0][1] == str(first.pid)
    assert str(first.pid) not in {pid for _, pid in lines[1:]}
