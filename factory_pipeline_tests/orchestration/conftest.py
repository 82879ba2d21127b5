"""A PostgreSQL server for the tests of orchestration."""

from collections.abc import Iterator

import pytest

from factory_pipeline_tests.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole test run."""
    with postgres_server() as server:
        yield server
