"""Leases: which process reads or writes a version now, so that it is not deleted meanwhile.

A lease expires by itself when its holder dies; while the holder runs, a thread extends it. The lease of a
process of this machine that has certainly died is ignored.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from factory_pipeline.datalake.registry.database import Database
from factory_pipeline.datalake.registry.heartbeat import beating
from factory_pipeline.datalake.registry.lease_holders import is_known_dead, this_process
from factory_pipeline.datalake.registry.records import Lease, LeaseKind
from factory_pipeline.datalake.registry.schema import leases as table
from factory_pipeline.errors import RegistryError

LEASE = timedelta(minutes=2)
"""Time after its last sign of life when a holder counts as dead."""
RENEWAL = timedelta(seconds=20)
"""Interval of a holder's signs of life."""


class Leases(Database):
    """Leases that last as long as their holder's work."""

    @contextmanager
    def _keep_lease(self, lease_id: str) -> Iterator[None]:
        """Renew a lease in the background, and release it at the end of the block."""
        try:
            with beating(lambda: self._renew(lease_id), RENEWAL.total_seconds()):
                yield
        finally:
            with self._change() as connection:
                connection.execute(table.delete().where(table.c.id == lease_id))

    def _renew(self, lease_id: str) -> None:
        # A database that is unavailable for a moment is back before the lease expires, or the lease is lost.
        with suppress(RegistryError), self._change() as connection:
            expires = datetime.now(UTC) + LEASE
            connection.execute(table.update().where(table.c.id == lease_id).values(expires=expires))


def begin_lease(connection: sa.Connection, version_id: str, kind: LeaseKind) -> str:
    """Begin a lease of this process on a version and return its id.

    Args:
        connection: in a transaction; expired leases on the version are removed in it.
        version_id: of the version.
        kind: what this process does with the version.
    """
    now = datetime.now(UTC)
    connection.execute(table.delete().where(table.c.version_id == version_id, table.c.expires <= now))
    lease = Lease(
        id=uuid.uuid4().hex,
        version_id=version_id,
        kind=kind,
        holder=this_process(),
        expires=now + LEASE,
    )
    connection.execute(table.insert().values(vars(lease)))
    return lease.id


def live_leases(connection: sa.Connection, version_id: str) -> list[Lease]:
    """Return the leases on a version whose holders may be alive, the latest to expire first.

    Args:
        connection: in a transaction, or one that only reads.
        version_id: of the version.
    """
    query = (
        sa.select(table)
        .where(table.c.version_id == version_id, table.c.expires > datetime.now(UTC))
        .order_by(table.c.expires.desc(), table.c.id)
    )
    leases = (Lease(**row._mapping) for row in connection.execute(query))
    return [lease for lease in leases if not is_known_dead(lease.holder)]


def until(lease: Lease) -> str:
    """Return when a lease expires if its holder died, for a message."""
    return f"{lease.expires:%H:%M:%S} UTC"
