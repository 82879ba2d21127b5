"""Leases on versions, in a database in memory."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from factory_pipeline.datalake.registry.leases import LEASE, begin_lease, live_leases, until
from factory_pipeline.datalake.registry.records import Lease, LeaseKind
from factory_pipeline.datalake.registry.schema import leases

READING = next(iter(LeaseKind))


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    leases.create(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def expire(connection: sa.Connection, lease_id: str) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    connection.execute(leases.update().where(leases.c.id == lease_id).values(expires=past))


def test_a_lease_of_this_process_lives_for_its_time(connection: sa.Connection) -> None:
    lease_id = begin_lease(connection, "v1", READING)
    (lease,) = live_leases(connection, "v1")
    assert (lease.id, lease.kind) == (lease_id, READING)
    assert timedelta() < lease.expires - datetime.now(UTC) <= LEASE
    assert live_leases(connection, "v2") == []


def test_an_expired_lease_is_not_alive_and_is_removed_by_the_next(connection: sa.Connection) -> None:
    first = begin_lease(connection, "v1", READING)
    expire(connection, first)
    assert live_leases(connection, "v1") == []
    second = begin_lease(connection, "v1", READING)
    assert connection.execute(sa.select(leases.c.id)).scalars().all() == [second]


def test_expired_leases_on_other_versions_are_left(connection: sa.Connection) -> None:
    other = begin_lease(connection, "v2", READING)
    expire(connection, other)
    begin_lease(connection, "v1", READING)
    assert other in connection.execute(sa.select(leases.c.id)).scalars().all()


def test_the_latest_to_expire_is_first(connection: sa.Connection) -> None:
    ids = [begin_lease(connection, "v1", READING) for _ in range(3)]
    later = datetime.now(UTC) + 2 * LEASE
    connection.execute(leases.update().where(leases.c.id == ids[1]).values(expires=later))
    assert live_leases(connection, "v1")[0].id == ids[1]


def test_a_message_has_the_time_of_day_in_utc(connection: sa.Connection) -> None:
    begin_lease(connection, "v1", READING)
    (lease,) = live_leases(connection, "v1")
    at: Lease = replace(lease, expires=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert until(at) == "03:04:05 UTC"
