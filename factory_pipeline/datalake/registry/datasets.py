"""Datasets and their versions.

A version is born `writing`: its writer makes the files, then `finish_version` makes it `ready` in one step.
What a writer left that died or failed is never seen as ready, and is cleared when the next version begins.
A ready version is immutable until it is deleted, which waits for no one: it is refused while someone reads.

A dataset lives as long as one of its versions; with the last one its name is free again.

Locks are taken in one order everywhere, dataset before version, so that no two changes wait for each other.
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
from factory_pipeline.datalake.registry.leases import LEASE, Leases, live_leases, take_lease, until
from factory_pipeline.datalake.registry.records import Dataset, LeaseKind, Version, VersionState
from factory_pipeline.datalake.registry.schema import datasets, exports, leases, version_collections, versions
from factory_pipeline.errors import RegistryError

FIRST_NUMBER = (1, 0, 0)


class Datasets(Leases):
    """The datasets of a registry and their versions."""

    @contextmanager
    def create_dataset(self, name: str, spec: Mapping[str, Any]) -> Iterator[Version]:
        """Write version 1.0.0 of a new dataset: make its files in the block and call `finish_version` there.

        A block that fails leaves neither version nor dataset. `spec` is what was asked for, as JSON values.

        Raises:
            RegistryError: the name is empty or taken, or the block ended without `finish_version`.
        """
        if not name.strip():
            raise RegistryError(f"The dataset name {name!r} is not allowed; it must not be empty.")
        dataset = Dataset(id=uuid.uuid4().hex, name=name.strip(), created=datetime.now(UTC), deleted_at=None)
        version = _newborn(dataset.id, FIRST_NUMBER, None, spec)
        self._clear_abandoned()
        try:
            with self._change() as connection:
                connection.execute(datasets.insert().values(vars(dataset)))
                lease_id = _insert(connection, version)
        except IntegrityError:
            raise self._name_taken(dataset.name) from None
        with self._written(version, lease_id):
            yield version

    @contextmanager
    def new_version(
        self, source_version_id: str, spec: Mapping[str, Any], *, revision: bool
    ) -> Iterator[Version]:
        """Write the next version, made from a ready one: as in `create_dataset`.

        From 1.0.4, a revision is the next free 1.0.x, and a new version the next free 1.x.0. Numbers of
        deleted versions are not given again. A block that fails leaves nothing.

        Raises:
            RegistryError: the source is not a ready version, or the block ended without `finish_version`.
        """
        self._clear_abandoned()
        with self._change() as connection:
            source = lock_ready_version(connection, source_version_id)
            number = _next_number(connection, source, revision)
            version = _newborn(source.dataset_id, number, source.id, spec)
            lease_id = _insert(connection, version)
        with self._written(version, lease_id):
            yield version

    def finish_version(
        self, version_id: str, *, manifest_path: str, content_hash: str, collections: Iterable[str] = ()
    ) -> Version:
        """Make a version ready, now that its files are written.

        Name the files by the version's id: only the id is never given again after a writer that died.
        `collections` are the ids of those whose files it points to: they can't be deleted before it.

        Raises:
            RegistryError: the version is not being written, its writer was given up, or a collection is gone.
        """
        with self._change() as connection:
            version = _locked(connection, version_id)
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
            return _found(connection, version_id)

    @contextmanager
    def reading(self, version_id: str) -> Iterator[Version]:
        """A ready version that can't be deleted inside the block.

        Raises:
            RegistryError: no such version, or it is not ready.
        """
        with self._change() as connection:
            version = lock_ready_version(connection, version_id)
            lease_id = take_lease(connection, version_id, LeaseKind.READ)
        with self._kept(lease_id):
            yield version

    @contextmanager
    def deleting(self, version_id: str) -> Iterator[Version]:
        """A version whose files, and those of its exports, are to be removed inside the block.

        Nobody can begin to read it from here on. A block that fails leaves it `deleting`, and can be
        entered again. At the end its exports are forgotten, and its dataset too if no version is left.

        Raises:
            RegistryError: no such version, or it is being written, being read or deleted already.
        """
        with self._change() as connection:
            version = _locked(connection, version_id)
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
            version = _locked(connection, version_id)
            connection.execute(exports.delete().where(exports.c.version_id == version_id))
            connection.execute(leases.delete().where(leases.c.version_id == version_id))
            connection.execute(
                versions.update().where(versions.c.id == version_id).values(state=VersionState.DELETED)
            )
            _retire_if_empty(connection, version.dataset_id)

    def dataset(self, name_or_id: str) -> Dataset:
        """The dataset of this id, deleted or not, or the living one of this name.

        Raises:
            RegistryError: no such dataset.
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
                f"The registry has no dataset {name_or_id!r}; give the name or id of a listed one."
            )
        return Dataset(**row._mapping)

    def datasets(self) -> list[Dataset]:
        """The living datasets by name."""
        with self._read() as connection:
            living = connection.execute(sa.select(datasets).where(datasets.c.deleted_at.is_(None)))
            # Sorted here: PostgreSQL orders text by its own locale.
            return sorted((Dataset(**row._mapping) for row in living), key=lambda dataset: dataset.name)

    def version(self, version_id: str) -> Version:
        """The version of this id, whatever its state.

        Raises:
            RegistryError: no such version.
        """
        with self._read() as connection:
            return _found(connection, version_id)

    def version_ids(self) -> set[str]:
        """The ids of all versions of all datasets, whatever their state."""
        with self._read() as connection:
            return set(connection.execute(sa.select(versions.c.id)).scalars())

    def version_collections(self, version_id: str) -> list[str]:
        """The ids of the collections whose files a version points to, as `finish_version` was told."""
        table = version_collections
        query = sa.select(table.c.collection_id).where(table.c.version_id == version_id)
        with self._read() as connection:
            return sorted(connection.execute(query).scalars())

    def versions(self, dataset_id: str, *, with_deleted: bool = False) -> list[Version]:
        """The versions of a dataset by number; the ready ones, and those on their way in or out."""
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
    def _written(self, version: Version, lease_id: str) -> Iterator[None]:
        """Withdraw the version unless the block finishes it."""
        try:
            with self._kept(lease_id):
                yield
        except BaseException:
            self._withdraw(version)
            raise
        if self._withdraw(version):
            raise RegistryError(
                f"Version {version.number} of dataset {version.dataset_id} was withdrawn, for it was not "
                "finished; finish_version must be called before its block ends."
            )

    def _withdraw(self, version: Version) -> bool:
        with self._change() as connection:
            return _forget_unfinished(connection, version)

    def _clear_abandoned(self) -> None:
        """Forget what writers that died left behind."""
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

    def _name_taken(self, name: str) -> RegistryError:
        first = f"The dataset name {name!r} is taken"
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
                "if that died before its first version was ready); give another name."
            )
        return RegistryError(f"{first}; give another name, or make a new version of that dataset.")


def lock_ready_version(connection: sa.Connection, version_id: str) -> Version:
    """A ready version that nobody else changes until the transaction ends.

    Raises:
        RegistryError: no such version, or it is not ready.
    """
    version = _locked(connection, version_id)
    if version.state is not VersionState.READY:
        raise RegistryError(
            f"Version {version_id} ({version.number}) is {version.state}; only a ready version can be used."
        )
    return version


def _locked(connection: sa.Connection, version_id: str) -> Version:
    """A version and its dataset, locked in this order."""
    dataset_id = _found(connection, version_id).dataset_id
    connection.execute(sa.select(datasets.c.id).where(datasets.c.id == dataset_id).with_for_update())
    connection.execute(sa.select(versions.c.id).where(versions.c.id == version_id).with_for_update())
    return _found(connection, version_id)


def _found(connection: sa.Connection, version_id: str) -> Version:
    row = connection.execute(sa.select(versions).where(versions.c.id == version_id)).first()
    if row is None:
        raise RegistryError(
            f"The registry has no dataset version {version_id!r}; give the id of a listed one (one that was "
            "being written is withdrawn when its writer gives no sign of life for "
            f"{LEASE.total_seconds() / 60:g} minutes)."
        )
    return Version(**row._mapping)


def _newborn(
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
    return take_lease(connection, version.id, LeaseKind.WRITE)


def _next_number(connection: sa.Connection, source: Version, revision: bool) -> tuple[int, int, int]:
    """The number after the highest one ever given; the dataset must be locked."""
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
    """Remove a dataset that never had a version; leave a tombstone of one whose versions are all deleted."""
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
