"""Uploads: every manifest that was registered, its status, and whether it was deleted."""

import re
from collections.abc import Collection
from datetime import UTC, datetime

import sqlalchemy as sa

from factory_pipeline.datalake.registry.database import Database
from factory_pipeline.datalake.registry.records import Upload, UploadStatus
from factory_pipeline.datalake.registry.schema import uploads as table
from factory_pipeline.errors import RegistryError

KEY = re.compile(r"(?P<name>.+)@[0-9a-f]{8}", re.DOTALL)


class Uploads(Database):
    """The uploads of a registry."""

    def register_upload(self, key: str, manifest: str) -> bool:
        """Register a manifest (YAML text) as Pending; return True if the key `name@sha8` is new.

        A key that exists, deleted or not, changes nothing and returns False: a manifest that is still in the
        inbox must not restore a deleted upload. `restore_upload` does.

        Args:
            key: the name, `@` and 8 lower-case hex digits.
            manifest: YAML text.

        Raises:
            RegistryError: the key is not of the form `name@sha8`.
        """
        matched = KEY.fullmatch(key)
        if matched is None:
            raise RegistryError(
                f"The upload key {key!r} is not allowed; it must be a name, @ and 8 digits in lower-case hex."
            )
        now = datetime.now(UTC)
        row = {
            "key": key,
            "name": matched["name"],
            "manifest": _escape_text(manifest),
            "status": UploadStatus.PENDING,
            "created": now,
            "updated": now,
        }
        try:
            with self._change() as connection:
                connection.execute(table.insert().values(row))
        except sa.exc.IntegrityError:
            return False
        return True

    def set_status(
        self,
        key: str,
        status: UploadStatus,
        *,
        reason: str | None = None,
        code: str | None = None,
        run_id: str | None = None,
    ) -> bool:
        """Set the status of an upload; return True if this changed the upload.

        A deleted upload is not changed. Nor is one that another run has taken over: an end (Succeeded,
        Failed) reported by `run_id` after a later run reported Onboarding or Succeeded is outdated.

        Args:
            key: of the upload.
            status: the new one.
            reason: one sentence for the user; needed for Failed, and for no other status.
            code: of the error, such as `BOMB`.
            run_id: of the Dagster run that reports it; None outside of one.

        Raises:
            RegistryError: the key does not exist, a failure has no reason, or another status has one.
        """
        status = UploadStatus(status)
        if (status is UploadStatus.FAILED) != bool(reason):
            raise RegistryError(
                f"The status {status} of upload {key} was set "
                f"{'with' if reason else 'without'} a reason; Failed needs one, and no other status has one."
            )
        with self._change() as connection:
            upload = _lock_upload(connection, key)
            if upload.deleted_at is not None or _is_outdated(upload, status, run_id):
                return False
            connection.execute(
                table.update()
                .where(table.c.key == key)
                .values(
                    status=status,
                    reason=_escape_text(reason) if reason else None,
                    code=code,
                    run_id=run_id,
                    updated=datetime.now(UTC),
                )
            )
        return True

    def upload(self, name_or_key: str) -> Upload:
        """Return the upload with this key, deleted or not.

        For a name, the existing one that was registered last.

        Raises:
            RegistryError: there is no such upload.
        """
        with self._read() as connection:
            row = connection.execute(sa.select(table).where(table.c.key == name_or_key)).first()
            if row is None:
                row = connection.execute(
                    sa.select(table)
                    .where(table.c.name == name_or_key, table.c.deleted_at.is_(None))
                    .order_by(table.c.created.desc(), table.c.key)
                ).first()
        if row is None:
            raise _unknown_upload_error(name_or_key)
        return Upload(**row._mapping)

    def uploads(
        self, *, with_deleted: bool = False, statuses: Collection[UploadStatus] | None = None
    ) -> list[Upload]:
        """Return uploads in the order of their registration.

        Args:
            with_deleted: those that were deleted too.
            statuses: only those with one of these; None for all.
        """
        query = sa.select(table).order_by(table.c.created, table.c.key)
        if not with_deleted:
            query = query.where(table.c.deleted_at.is_(None))
        if statuses is not None:
            query = query.where(table.c.status.in_(statuses))
        with self._read() as connection:
            return [Upload(**row._mapping) for row in connection.execute(query)]

    def delete_upload(self, key: str) -> bool:
        """Mark an upload as deleted; return True if it was not. The caller must remove its files.

        Raises:
            RegistryError: the key does not exist.
        """
        with self._change() as connection:
            if _lock_upload(connection, key).deleted_at is not None:
                return False
            now = datetime.now(UTC)
            connection.execute(table.update().where(table.c.key == key).values(deleted_at=now, updated=now))
        return True

    def restore_upload(self, key: str) -> bool:
        """Make a deleted upload Pending again, as if it were new; return True if it was deleted.

        Raises:
            RegistryError: the key does not exist.
        """
        with self._change() as connection:
            if _lock_upload(connection, key).deleted_at is None:
                return False
            now = datetime.now(UTC)
            connection.execute(
                table.update()
                .where(table.c.key == key)
                .values(
                    status=UploadStatus.PENDING,
                    reason=None,
                    code=None,
                    run_id=None,
                    created=now,
                    updated=now,
                    deleted_at=None,
                )
            )
        return True


def _lock_upload(connection: sa.Connection, key: str) -> Upload:
    row = connection.execute(sa.select(table).where(table.c.key == key).with_for_update()).first()
    if row is None:
        raise _unknown_upload_error(key)
    return Upload(**row._mapping)


def _is_outdated(upload: Upload, status: UploadStatus, run_id: str | None) -> bool:
    ends = status in (UploadStatus.SUCCEEDED, UploadStatus.FAILED)
    taken_over = upload.status in (UploadStatus.ONBOARDING, UploadStatus.SUCCEEDED)
    known = run_id is not None and upload.run_id is not None
    return ends and taken_over and known and run_id != upload.run_id


def _escape_text(text: str) -> str:
    """Escape what a database can't store as text: names of files need not be Unicode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _unknown_upload_error(name_or_key: str) -> RegistryError:
    return RegistryError(f"The registry has no upload {name_or_key!r}; `factory upload list` lists them all.")
