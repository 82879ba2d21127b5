"""Real PostgreSQL: two machines see each other's work in the registry alone."""

import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from factory_pipeline.datalake.registry.batch_leases import BatchKey
from factory_pipeline.datalake.registry.exclusive import exclusive_work
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.schema import batch_leases
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.postgres import PostgresServer

KEY = BatchKey("releases", "import", "tiles@0123abcd")


def leases_of(home: FactoryHome) -> int:
    with closing(open_registry(home)) as registry, registry._read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(batch_leases)).scalar_one()


@pytest.mark.integration
def test_another_machine_waits_and_is_told_for_whom(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FACTORY_REGISTRY", postgres.new_database())
    # Two folders: no file of one machine is seen by the other.
    here, there = FactoryHome(tmp_path / "here"), FactoryHome(tmp_path / "there")
    told: list[str] = []
    begun, entered = threading.Event(), threading.Event()

    def on_wait(sentence: str) -> None:
        told.append(sentence)
        begun.set()

    def work() -> None:
        with exclusive_work(there, there.root / "lock", KEY, on_wait):
            entered.set()

    with exclusive_work(here, here.root / "lock", KEY):
        assert leases_of(here) == 1
        other = threading.Thread(target=work)
        other.start()
        assert begun.wait(60)
        assert not entered.is_set()
    assert entered.wait(60)
    other.join()
    assert len(told) == 1
    assert f"works on {KEY.batch}" in told[0]
    assert leases_of(here) == 0


def test_on_one_machine_a_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FACTORY_REGISTRY", raising=False)
    home = FactoryHome(tmp_path / "home")
    with exclusive_work(home, home.root / "lock", KEY):
        assert (home.root / "lock").exists()
        assert not home.registry.exists()
