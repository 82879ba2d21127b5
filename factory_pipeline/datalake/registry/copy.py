"""Moving a registry to another database, as from SQLite to PostgreSQL."""

from pathlib import Path

import sqlalchemy as sa

from factory_pipeline.datalake.registry.database import Database
from factory_pipeline.datalake.registry.records import ExportState, VersionState
from factory_pipeline.datalake.registry.schema import (
    batch_leases,
    exports,
    leases,
    metadata,
    run_signs,
    versions,
)
from factory_pipeline.datalake.registry.url import display, registry_url
from factory_pipeline.errors import RegistryError

ROWS_AT_ONCE = 1000


class MovableRegistry(Database):
    """A registry whose rows can be copied unchanged."""

    def copy_to(self, target: "MovableRegistry") -> None:
        """Copy everything except leases and signs of life into an empty registry, in one transaction.

        Raises:
            RegistryError: a version or an export is being written, or the target is not empty.
        """
        with self._read() as source, target._change() as empty:
            for table in metadata.sorted_tables:
                if empty.execute(sa.select(sa.literal(1)).select_from(table)).first():
                    raise RegistryError(
                        f"The registry {display(empty.engine.url)} already has {table.name}; "
                        "use an empty database."
                    )
            _assert_no_writers(source)
            for table in metadata.sorted_tables:
                if table not in (leases, batch_leases, run_signs):
                    _copy(source, empty, table)


def copy_registry(source: str | Path, target: str | Path) -> None:
    """Copy a registry into an empty database; the source is not changed.

    Paths are relative to the factory home, so files need not move.

    Args:
        source: path or URL of a registry.
        target: path or URL of an empty database.

    Raises:
        RegistryError: one can't be used, the target is not empty, or a version or an export is being written.
    """
    url = registry_url(source)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise RegistryError(f"The registry {display(url)} does not exist; use the path of the one in use.")
    opened, empty = MovableRegistry.open(source), MovableRegistry.open(target)
    try:
        opened.copy_to(empty)
    finally:
        opened.close()
        empty.close()


def _assert_no_writers(source: sa.Connection) -> None:
    """Raise an error if a process writes, as its files would then belong to neither registry."""
    for table, state in ((versions, VersionState.WRITING), (exports, ExportState.WRITING)):
        if source.execute(sa.select(table.c.id).where(table.c.state == state)).first():
            raise RegistryError(
                f"In the registry {display(source.engine.url)} some {table.name} are being written; "
                "wait until they are ready."
            )


def _copy(source: sa.Connection, empty: sa.Connection, table: sa.Table) -> None:
    # A version refers to the one that it was made from, which is older.
    query = sa.select(table).order_by(*([table.c.created] if table is versions else []))
    for rows in source.execute(query).partitions(ROWS_AT_ONCE):
        empty.execute(table.insert(), [dict(row._mapping) for row in rows])
