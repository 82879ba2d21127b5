"""Dagster's tables in the database of the registry."""

from collections.abc import Iterator

import psycopg
import pytest
from dagster_postgres.event_log import PostgresEventLogStorage

from factory_pipeline.runs.shared_history import UNFINISHED, SharedHistory
from factory_pipeline_tests.postgres import PostgresServer, postgres_server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def tables(database: str) -> set[str]:
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'dagster'")
        return {name for (name,) in rows}


def test_tables_that_were_left_half_created_are_created_again(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres.new_database()
    monkeypatch.setenv("FACTORY_REGISTRY", database)
    with monkeypatch.context() as killed:
        killed.delattr(PostgresEventLogStorage, "_init_db")
        with pytest.raises(AttributeError):
            SharedHistory()
    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE dagster.run_tags")
    assert {"runs", UNFINISHED.name} <= tables(database)

    partitions = SharedHistory().event_log_storage
    partitions.add_dynamic_partitions("batches", ["a"])
    assert {"run_tags", "event_logs"} <= tables(database)
    assert UNFINISHED.name not in tables(database)

    assert SharedHistory().event_log_storage.get_dynamic_partitions("batches") == ["a"]
