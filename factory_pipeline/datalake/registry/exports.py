"""Exports: which version is exported in which format, and its path."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import sqlalchemy as sa

from factory_pipeline.datalake.registry.datasets import lock_ready_version
from factory_pipeline.datalake.registry.lease_holders import shown
from factory_pipeline.datalake.registry.leases import Leases, begin_lease, live_leases, until
from factory_pipeline.datalake.registry.records import Export, ExportState, LeaseKind
from factory_pipeline.datalake.registry.schema import exports as table
from factory_pipeline.errors import RegistryError


class Exports(Leases):
    """The exports of a registry: one per version and format."""

    @contextmanager
    def exporting(
        self, version_id: str, export_type: str, *, replaces: str | None = None
    ) -> Iterator[Export]:
        """Export a version: write the files in the block and call `finish_export` there.

        The version can't be deleted inside the block. A block that fails, or a writer that dies, leaves no
        export.

        Args:
            version_id: of a ready version.
            export_type: name of the format.
            replaces: id of a ready export that is damaged and is written again; it is removed first.

        Raises:
            RegistryError: the version is not ready, the export exists or is being written by another process,
                or the block ended without `finish_export`.
        """
        with self._change() as connection:
            version = lock_ready_version(connection, version_id)
            _remove_replaced(connection, version_id, export_type, replaces)
            export = Export(
                id=uuid.uuid4().hex,
                version_id=version.id,
                type=export_type,
                state=ExportState.WRITING,
                lease_id=begin_lease(connection, version_id, LeaseKind.READ),
                path=None,
                content_hash=None,
                created=datetime.now(UTC),
            )
            connection.execute(table.insert().values(vars(export)))
        with self._keep_lease(str(export.lease_id)):
            try:
                yield export
            except BaseException:
                self._withdraw_export(export)
                raise
            if self._withdraw_export(export):
                raise RegistryError(
                    f"The {export_type} export of version {version_id} was withdrawn because it was not "
                    "finished; finish_export must be called before its block ends."
                )

    def finish_export(self, export_id: str, *, path: str, content_hash: str) -> Export:
        """Make an export ready after its files were written.

        Args:
            export_id: of an export that is being written.
            path: of its folder, relative to the home.
            content_hash: hex digest of its files.

        Raises:
            RegistryError: the export is not being written, or its writer's lease has expired.
        """
        with self._change() as connection:
            finished = connection.execute(
                table.update()
                .where(table.c.id == export_id, table.c.state == ExportState.WRITING)
                .values(state=ExportState.READY, lease_id=None, path=path, content_hash=content_hash)
            )
            if finished.rowcount != 1:
                raise RegistryError(f"The export {export_id} is not being written, so it can't be finished.")
            return _find_record(connection, export_id)

    def delete_export(self, export_id: str) -> Export:
        """Remove a ready export from the registry, so that it can be written again.

        The caller must remove its files.

        Raises:
            RegistryError: there is no such ready export, or its version is being read.
        """
        with self._change() as connection:
            export = _find_record(connection, export_id)
            lock_ready_version(connection, export.version_id)
            readers = live_leases(connection, export.version_id)
            if readers:
                raise RegistryError(
                    f"The export {export_id} can't be deleted while {shown(readers[0].holder)} reads its "
                    f"version; wait for that (until {until(readers[0])} if it died)."
                )
            connection.execute(table.delete().where(table.c.id == export_id))
        return export

    def exports(self, version_id: str) -> list[Export]:
        """Return the exports of a version by format, ready or being written."""
        with self._read() as connection:
            found = connection.execute(sa.select(table).where(table.c.version_id == version_id))
            return sorted((Export(**row._mapping) for row in found), key=lambda export: export.type)

    def ready_exports(self) -> dict[str, list[str]]:
        """Return the formats that are ready of all versions, sorted, by the id of the version."""
        query = sa.select(table.c.version_id, table.c.type).where(table.c.state == ExportState.READY)
        ready: dict[str, list[str]] = {}
        with self._read() as connection:
            for version_id, name in connection.execute(query.order_by(table.c.type)):
                ready.setdefault(version_id, []).append(name)
        return ready

    def _withdraw_export(self, export: Export) -> bool:
        with self._change() as connection:
            gone = connection.execute(
                table.delete().where(table.c.id == export.id, table.c.state == ExportState.WRITING)
            )
            return gone.rowcount == 1


def _find_record(connection: sa.Connection, export_id: str) -> Export:
    row = connection.execute(sa.select(table).where(table.c.id == export_id)).first()
    if row is None:
        raise RegistryError(f"The registry has no export {export_id!r}; use the id of a listed one.")
    return Export(**row._mapping)


def _remove_replaced(
    connection: sa.Connection, version_id: str, export_type: str, replaces: str | None
) -> None:
    """Remove an export that a dead writer left, or that is replaced; the version must be locked."""
    query = sa.select(table).where(table.c.version_id == version_id, table.c.type == export_type)
    row = connection.execute(query).first()
    if row is None:
        return
    if row.state is ExportState.READY and row.id != replaces:
        raise RegistryError(
            f"Version {version_id} is already exported as {export_type}, at {row.path}; use that export."
        )
    for lease in live_leases(connection, version_id):
        if lease.id == row.lease_id:
            raise RegistryError(
                f"Version {version_id} is being exported as {export_type} by {shown(lease.holder)}; "
                f"wait for that (until {until(lease)} if it died)."
            )
    connection.execute(table.delete().where(table.c.id == row.id))
