"""Every test of the registry runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline_tests.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole test run."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a registry that does not exist yet."""
    if request.param == "sqlite":
        return str(tmp_path / "home" / "registry.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def registry(where: str) -> Iterator[Registry]:
    """A new registry."""
    opened = Registry.open(where)
    yield opened
    opened.close()
