"""Datasets and their versions.

A version starts in the state `writing`: its writer writes the files, then `finish_version` makes it `ready`
in one step. A version whose writer died or failed never becomes ready, and is removed when the next version
begins. A ready version is immutable until it is deleted; deletion does not wait, it is refused while a
process reads.

A dataset exists as long as one of its versions; after the last one its name can be used again.

Locks are acquired in one order everywhere, dataset before version, so that there are no deadlocks.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from factory_pipeline.datalake.registry.collections import lock_living_collection
from factory_pipeline.datalake.registry.lease_holders import shown
from factory_pipeline.datalake.registry.leases import LEASE, Leases, begin_lease, live_leases, until
from factory_pipeline.datalake.registry.records import Dataset, LeaseKind, Version, VersionState
from factory_pipeline.datalake.registry.schema import datasets, exports, leases, version_collections, versions
from factory_pipeline.errors import RegistryError

FIRST_NUMBER = (1, 0, 0)


class Datasets(Leases):
    """The datasets of a registry and their versions."""

    @contextmanager
    def create_dataset(self, name: str, spec: Mapping[str, Any]) -> Iterator[Version]:
        """Write version 1.0.0 of a new dataset: write its files in the block and call `finish_version` there.

        A block that fails leaves neither version nor dataset.

        Args:
            name: of the dataset; white space around it is removed.
            spec: the request, as JSON values.

        Yields:
            The version, which is being written.

        Raises:
            RegistryError: the name is empty or in use, or the block ended without `finish_version`.
        """
        if not name.strip():
            raise RegistryError(f"The dataset name {name!r} is not allowed; it must not be empty.")
        dataset = Dataset(id=uuid.uuid4().hex, name=name.strip(), created=datetime.now(UTC), deleted_at=None)
        version = _make_record(dataset.id, FIRST_NUMBER, None, spec)
        self._clear_abandoned()
        try:
            with self._change() as connection:
                connection.execute(datasets.insert().values(vars(dataset)))
                lease_id = _insert(connection, version)
        except IntegrityError:
            raise self._name_taken(dataset.name) from None
        with self._require_finished(version, lease_id):
            yield version

    @contextmanager
    def new_version(
        self, source_version_id: str, spec: Mapping[str, Any], *, revision: bool
    ) -> Iterator[Version]:
        """Write the next version, based on a ready one, as in `create_dataset`.

        From 1.0.4, a revision is the next free 1.0.x, and a new version the next free 1.x.0. Numbers of
        deleted versions are not reused. A block that fails leaves nothing.

        Args:
            source_version_id: of the version that the next one is based on.
            spec: the request, as JSON values.
            revision: True numbers the next 1.0.x, False the next 1.x.0.

        Yields:
            The version, which is being written.

        Raises:
            RegistryError: the source is not a ready version, or the block ended without `finish_version`.
        """
        self._clear_abandoned()
        with self._change() as connection:
            source = lock_ready_version(connection, source_version_id)
            number = _next_number(connection, source, revision)
            version = _make_record(source.dataset_id, number, source.id, spec)
            lease_id = _insert(connection, version)
        with self._require_finished(version, lease_id):
            yield version

    def finish_version(
        self, version_id: str, *, manifest_path: str, content_hash: str, collections: Iterable[str] = ()
    ) -> Version:
        """Make a version ready after its files were written.

        File names must contain the version's id: only the id is never reused after a writer died.

        Args:
            version_id: of a version that is being written.
            manifest_path: of its manifest, relative to the home.
            content_hash: hex digest of its content.
            collections: ids of the collections whose files the version refers to: they can't be deleted
                before it.

        Raises:
            RegistryError: the version is not being written, its writer's lease has expired, or a collection
                is deleted.
        """
        with self._change() as connection:
            version = _lock_version(connection, version_id)
            if version.state is not VersionState.WRITING:
                raise RegistryError(
                    f"Version {version_id} ({version.number}) is {version.state} and can't be finished; "
                    "only one that is being written can."
                )
            for collection_id in sorted(set(collections)):
                lock_living_collection(connection, collection_id)
                connection.execute(
                    version_collections.insert().values(version_id=version_id, collection_id=collection_id)
                )
            connection.execute(
                versions.update()
                .where(versions.c.id == version_id)
                .values(state=VersionState.READY, manifest_path=manifest_path, content_hash=content_hash)
            )
            connection.execute(leases.delete().where(leases.c.version_id == version_id))
            return _find_record(connection, version_id)

    @contextmanager
    def reading(self, version_id: str) -> Iterator[Version]:
        """Yield a ready version that can't be deleted inside the block.

        Raises:
            RegistryError: the version does not exist, or is not ready.
        """
        with self._change() as connection:
            version = lock_ready_version(connection, version_id)
            lease_id = begin_lease(connection, version_id, LeaseKind.READ)
        with self._keep_lease(lease_id):
            yield version

    @contextmanager
    def deleting(self, version_id: str) -> Iterator[Version]:
        """Yield a version whose files, and those of its exports, must be removed inside the block.

        No process can begin to read it from now on. If the block fails the version stays `deleting`, and the
        call can be repeated. At the end its exports are removed from the registry, and its dataset too if no
        version is left.

        Raises:
            RegistryError: the version does not exist, is being written or read, or is already deleted.
        """
        with self._change() as connection:
            version = _lock_version(connection, version_id)
            if version.state not in (VersionState.READY, VersionState.DELETING):
                raise RegistryError(
                    f"Version {version_id} ({version.number}) is {version.state} and can't be deleted; "
                    "only a ready one can."
                )
            readers = live_leases(connection, version_id)
            if readers:
                raise RegistryError(
                    f"Version {version_id} ({version.number}) is being read by {shown(readers[0].holder)}; "
                    f"delete it when that has ended (at {until(readers[0])} if the reader died)."
                )
            connection.execute(
                versions.update().where(versions.c.id == version_id).values(state=VersionState.DELETING)
            )
        yield version
        with self._change() as connection:
            version = _lock_version(connection, version_id)
            connection.execute(exports.delete().where(exports.c.version_id == version_id))
            connection.execute(leases.delete().where(leases.c.version_id == version_id))
            connection.execute(
                versions.update().where(versions.c.id == version_id).values(state=VersionState.DELETED)
            )
            _retire_if_empty(connection, version.dataset_id)

    def dataset(self, name_or_id: str) -> Dataset:
        """Return the dataset with this id, deleted or not, or the existing one with this name.

        Raises:
            RegistryError: there is no such dataset.
        """
        by_name = sa.and_(datasets.c.name == name_or_id, datasets.c.deleted_at.is_(None))
        query = (
            sa.select(datasets)
            .where(sa.or_(datasets.c.id == name_or_id, by_name))
            .order_by(datasets.c.id != name_or_id)
        )
        with self._read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise RegistryError(
                f"The registry has no dataset {name_or_id!r}; use the name or id of a listed one."
            )
        return Dataset(**row._mapping)

    def datasets(self) -> list[Dataset]:
        """Return the existing datasets by name."""
        with self._read() as connection:
            living = connection.execute(sa.select(datasets).where(datasets.c.deleted_at.is_(None)))
            # Sorted here: PostgreSQL orders text by its own locale.
            return sorted((Dataset(**row._mapping) for row in living), key=lambda dataset: dataset.name)

    def version(self, version_id: str) -> Version:
        """Return the version with this id, whatever its state.

        Raises:
            RegistryError: there is no version with this id.
        """
        with self._read() as connection:
            return _find_record(connection, version_id)

    def version_ids(self) -> set[str]:
        """Return the ids of all versions of all datasets, whatever their state."""
        with self._read() as connection:
            return set(connection.execute(sa.select(versions.c.id)).scalars())

    def version_collections(self, version_id: str) -> list[str]:
        """Return the ids of the collections whose files a version refers to; see `finish_version`."""
        table = version_collections
        query = sa.select(table.c.collection_id).where(table.c.version_id == version_id)
        with self._read() as connection:
            return sorted(connection.execute(query).scalars())

    def versions(self, dataset_id: str, *, with_deleted: bool = False) -> list[Version]:
        """Return the versions of a dataset by number: the ready ones, and those being written or deleted.

        Args:
            dataset_id: of the dataset.
            with_deleted: include the deleted ones.
        """
        query = (
            sa.select(versions)
            .where(versions.c.dataset_id == dataset_id)
            .order_by(versions.c.major, versions.c.minor, versions.c.patch)
        )
        if not with_deleted:
            query = query.where(versions.c.state != VersionState.DELETED)
        with self._read() as connection:
            return [Version(**row._mapping) for row in connection.execute(query)]

    @contextmanager
    def _require_finished(self, version: Version, lease_id: str) -> Iterator[None]:
        """Withdraw the version unless the block finishes it."""
        try:
            with self._keep_lease(lease_id):
                yield
        except BaseException:
            self._withdraw(version)
            raise
        if self._withdraw(version):
            raise RegistryError(
                f"Version {version.number} of dataset {version.dataset_id} was withdrawn because it was not "
                "finished; finish_version must be called before its block ends."
            )

    def _withdraw(self, version: Version) -> bool:
        with self._change() as connection:
            return _forget_unfinished(connection, version)

    def _clear_abandoned(self) -> None:
        """Remove the unfinished versions of writers that died."""
        query = (
            sa.select(versions)
            .where(versions.c.state == VersionState.WRITING)
            .order_by(versions.c.dataset_id)
        )
        with self._read() as connection:
            unfinished = [Version(**row._mapping) for row in connection.execute(query)]
            abandoned = [version for version in unfinished if not live_leases(connection, version.id)]
        for version in abandoned:
            with self._change() as connection:
                if not live_leases(connection, version.id):
                    _forget_unfinished(connection, version)

    def is_name_in_use(self, name: str) -> bool:
        """Return whether a dataset has a name: one with a version, or with a writer that may be alive.

        Args:
            name: of the dataset; white space around it does not count.
        """
        query = (
            sa.select(versions.c.id, versions.c.state)
            .join(datasets, versions.c.dataset_id == datasets.c.id)
            .where(datasets.c.name == name.strip(), datasets.c.deleted_at.is_(None))
        )
        with self._read() as connection:
            return any(
                state != VersionState.WRITING or live_leases(connection, version)
                for version, state in connection.execute(query).all()
            )

    def _name_taken(self, name: str) -> RegistryError:
        first = f"The dataset name {name!r} is in use"
        with self._read() as connection:
            writers = connection.execute(
                sa.select(versions.c.id)
                .join(datasets, versions.c.dataset_id == datasets.c.id)
                .where(datasets.c.name == name, datasets.c.deleted_at.is_(None))
            ).scalars()
            held = [lease for writer in writers.all() for lease in live_leases(connection, writer)]
        writing = [lease for lease in held if lease.kind is LeaseKind.WRITE]
        if writing:
            return RegistryError(
                f"{first}: {shown(writing[0].holder)} is writing it (its name is free at {until(writing[0])} "
                "if that died before its first version was ready); use another name."
            )
        return RegistryError(f"{first}; use another name, or create a new version of that dataset.")


def lock_ready_version(connection: sa.Connection, version_id: str) -> Version:
    """Return a ready version that no other transaction can change until this one ends.

    Args:
        connection: in a transaction.
        version_id: of the version.

    Raises:
        RegistryError: the version does not exist, or is not ready.
    """
    version = _lock_version(connection, version_id)
    if version.state is not VersionState.READY:
        raise RegistryError(
            f"Version {version_id} ({version.number}) is {version.state}; only a ready version can be used."
        )
    return version


def _lock_version(connection: sa.Connection, version_id: str) -> Version:
    """Lock a dataset and its version, in this order, and return the version."""
    dataset_id = _find_record(connection, version_id).dataset_id
    connection.execute(sa.select(datasets.c.id).where(datasets.c.id == dataset_id).with_for_update())
    connection.execute(sa.select(versions.c.id).where(versions.c.id == version_id).with_for_update())
    return _find_record(connection, version_id)


def _find_record(connection: sa.Connection, version_id: str) -> Version:
    row = connection.execute(sa.select(versions).where(versions.c.id == version_id)).first()
    if row is None:
        raise RegistryError(
            f"The registry has no dataset version {version_id!r}; use the id of a listed one (one that was "
            "being written is withdrawn when its writer gives no sign of life for "
            f"{LEASE.total_seconds() / 60:g} minutes)."
        )
    return Version(**row._mapping)


def _make_record(
    dataset_id: str, number: tuple[int, int, int], source_id: str | None, spec: Mapping[str, Any]
) -> Version:
    major, minor, patch = number
    return Version(
        id=uuid.uuid4().hex,
        dataset_id=dataset_id,
        major=major,
        minor=minor,
        patch=patch,
        source_version_id=source_id,
        state=VersionState.WRITING,
        spec=dict(spec),
        manifest_path=None,
        content_hash=None,
        created=datetime.now(UTC),
    )


def _insert(connection: sa.Connection, version: Version) -> str:
    connection.execute(versions.insert().values(vars(version)))
    return begin_lease(connection, version.id, LeaseKind.WRITE)


def _next_number(connection: sa.Connection, source: Version, revision: bool) -> tuple[int, int, int]:
    """Return the number after the highest one ever used; the dataset must be locked."""
    line = (versions.c.dataset_id == source.dataset_id, versions.c.major == source.major)
    if revision:
        query = sa.select(sa.func.max(versions.c.patch)).where(*line, versions.c.minor == source.minor)
        return source.major, source.minor, connection.execute(query).scalar_one() + 1
    query = sa.select(sa.func.max(versions.c.minor)).where(*line)
    return source.major, connection.execute(query).scalar_one() + 1, 0


def _forget_unfinished(connection: sa.Connection, version: Version) -> bool:
    """Remove a version that is still being written, and its dataset if that leaves it empty."""
    connection.execute(sa.select(datasets.c.id).where(datasets.c.id == version.dataset_id).with_for_update())
    unfinished = sa.select(versions.c.id).where(
        versions.c.id == version.id, versions.c.state == VersionState.WRITING
    )
    if connection.execute(unfinished.with_for_update()).first() is None:
        return False
    connection.execute(leases.delete().where(leases.c.version_id == version.id))
    connection.execute(versions.delete().where(versions.c.id == version.id))
    _retire_if_empty(connection, version.dataset_id)
    return True


def _retire_if_empty(connection: sa.Connection, dataset_id: str) -> None:
    """Remove a dataset that never had a version; mark one whose versions are all deleted as deleted."""
    states = connection.execute(
        sa.select(versions.c.state).where(versions.c.dataset_id == dataset_id)
    ).scalars()
    left = set(states)
    if not left:
        connection.execute(datasets.delete().where(datasets.c.id == dataset_id))
    elif left == {VersionState.DELETED}:
        connection.execute(
            datasets.update().where(datasets.c.id == dataset_id).values(deleted_at=datetime.now(UTC))
        )
