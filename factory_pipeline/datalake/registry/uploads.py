"""Uploads: every manifest that came in, how far it has come, and what was deleted."""

import re
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
        """Take in a manifest (YAML text) as Pending; True where the key `name@sha8` is new.

        A key that is there already, living or deleted, changes nothing and gives False: the manifest that
        still lies in the inbox must not bring a deleted upload back. `restore_upload` does.

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
            "manifest": _storable(manifest),
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
        """Say how far an upload has come; True where this changed the upload.

        A deleted upload stays as it is. So does one that another run has taken over: an end (Succeeded,
        Failed) told by `run_id` after a later run said Onboarding or Succeeded is old news.

        Raises:
            RegistryError: no such key, a failure without a reason, or a reason without a failure.
        """
        status = UploadStatus(status)
        if (status is UploadStatus.FAILED) != bool(reason):
            raise RegistryError(
                f"The status {status} of upload {key} was given "
                f"{'with' if reason else 'without'} a reason; Failed needs one, and no other status has one."
            )
        with self._change() as connection:
            upload = _locked(connection, key)
            if upload.deleted_at is not None or _is_old_news(upload, status, run_id):
                return False
            connection.execute(
                table.update()
                .where(table.c.key == key)
                .values(
                    status=status,
                    reason=_storable(reason) if reason else None,
                    code=code,
                    run_id=run_id,
                    updated=datetime.now(UTC),
                )
            )
        return True

    def upload(self, name_or_key: str) -> Upload:
        """The upload of this key, deleted or not; of a name, the living one that was registered last.

        Raises:
            RegistryError: no such upload.
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
            raise _unknown(name_or_key)
        return Upload(**row._mapping)

    def uploads(self, *, with_deleted: bool = False) -> list[Upload]:
        """All uploads in the order in which they were registered."""
        query = sa.select(table).order_by(table.c.created, table.c.key)
        if not with_deleted:
            query = query.where(table.c.deleted_at.is_(None))
        with self._read() as connection:
            return [Upload(**row._mapping) for row in connection.execute(query)]

    def delete_upload(self, key: str) -> bool:
        """Leave a tombstone of an upload; True where it lived. Its files are the caller's to remove.

        Raises:
            RegistryError: no such key.
        """
        with self._change() as connection:
            if _locked(connection, key).deleted_at is not None:
                return False
            now = datetime.now(UTC)
            connection.execute(table.update().where(table.c.key == key).values(deleted_at=now, updated=now))
        return True

    def restore_upload(self, key: str) -> bool:
        """Make a deleted upload Pending again, as if it were new; True where it was deleted.

        Raises:
            RegistryError: no such key.
        """
        with self._change() as connection:
            if _locked(connection, key).deleted_at is None:
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


def _locked(connection: sa.Connection, key: str) -> Upload:
    row = connection.execute(sa.select(table).where(table.c.key == key).with_for_update()).first()
    if row is None:
        raise _unknown(key)
    return Upload(**row._mapping)


def _is_old_news(upload: Upload, status: UploadStatus, run_id: str | None) -> bool:
    ends = status in (UploadStatus.SUCCEEDED, UploadStatus.FAILED)
    taken_over = upload.status in (UploadStatus.ONBOARDING, UploadStatus.SUCCEEDED)
    known = run_id is not None and upload.run_id is not None
    return ends and taken_over and known and run_id != upload.run_id


def _storable(text: str) -> str:
    """Write out what a database can't hold as text: names of files need not be Unicode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _unknown(name_or_key: str) -> RegistryError:
    return RegistryError(f"The registry has no upload {name_or_key!r}; `factory upload list` lists them all.")
