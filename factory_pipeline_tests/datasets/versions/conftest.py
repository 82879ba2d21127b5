"""A lake for every test; those of writers at once run on PostgreSQL too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_pipeline_tests.datasets.versions.factories import MadeLake, made_lake
from factory_pipeline_tests.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole test run."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of the registry; SQLite where a test says nothing else."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return str(tmp_path / "home" / "registry.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def lake(tmp_path: Path, where: str) -> Iterator[MadeLake]:
    """An empty lake."""
    with made_lake(tmp_path / "home", where) as made:
        yield made


@pytest.fixture
def other_lake(tmp_path: Path) -> Iterator[MadeLake]:
    """Another one, elsewhere."""
    with made_lake(tmp_path / "elsewhere" / "home") as made:
        yield made
