"""Collections: items that were registered together, and their annotations."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from factory_pipeline.datalake.registry.database import Database
from factory_pipeline.datalake.registry.records import (
    AnnotationSource,
    Collection,
    CollectionSource,
    Operation,
    VersionState,
)
from factory_pipeline.datalake.registry.schema import (
    collections,
    datasets,
    operations,
    version_collections,
    versions,
)
from factory_pipeline.errors import RegistryError


class Collections(Database):
    """The collections of a registry: together they are the data lake."""

    def add_collection(
        self,
        name: str,
        source: CollectionSource,
        *,
        items_path: str,
        item_count: int,
        content_hash: str,
        annotations: Mapping[str, AnnotationSource] = MappingProxyType({}),
    ) -> Collection:
        """Register the items of a build, an upload or a release, and their annotations with them.

        If a collection of the same name, source and content exists, it is returned instead; it gets the
        annotations that it does not have.

        Args:
            name: of the collection.
            source: what the items are from.
            items_path: of the Parquet file of the items, relative to the home.
            item_count: rows of that file.
            content_hash: hex digest of the items.
            annotations: who made them, by the paths of their Parquet files, relative to the home.
        """
        collection = Collection(
            id=uuid.uuid4().hex,
            name=name,
            source=CollectionSource(source),
            items_path=items_path,
            item_count=item_count,
            content_hash=content_hash,
            created=datetime.now(UTC),
            deleted_at=None,
        )
        try:
            with self._change() as connection:
                connection.execute(collections.insert().values(vars(collection)))
                # Without them it would be another collection, to whoever reads it meanwhile.
                for path, made_by in annotations.items():
                    _insert_operation(connection, collection.id, made_by, path)
        except IntegrityError:
            found = self._find_same_content(collection)
            for path, made_by in annotations.items():
                self.add_operation(found.id, made_by, path=path)
            return found
        return collection

    def collection(self, collection_id: str) -> Collection:
        """Return the collection with this id, deleted or not.

        Raises:
            RegistryError: there is no collection with this id.
        """
        with self._read() as connection:
            return _find_record(connection, collection_id)

    def collections(self, *, with_deleted: bool = False) -> list[Collection]:
        """Return all collections in the order of their registration."""
        query = sa.select(collections).order_by(collections.c.created, collections.c.id)
        if not with_deleted:
            query = query.where(collections.c.deleted_at.is_(None))
        with self._read() as connection:
            return [Collection(**row._mapping) for row in connection.execute(query)]

    def delete_collection(self, collection_id: str) -> None:
        """Mark a collection as deleted. The caller must remove its files afterwards.

        Raises:
            RegistryError: the collection does not exist or is deleted, or a version of a dataset contains
                items of it.
        """
        with self._change() as connection:
            lock_living_collection(connection, collection_id)
            users = connection.execute(
                sa.select(datasets.c.name, versions.c.major, versions.c.minor, versions.c.patch)
                .join(versions, versions.c.dataset_id == datasets.c.id)
                .join(version_collections, version_collections.c.version_id == versions.c.id)
                .where(
                    version_collections.c.collection_id == collection_id,
                    versions.c.state != VersionState.DELETED,
                )
                .order_by(datasets.c.name, versions.c.major, versions.c.minor, versions.c.patch)
            ).all()
            if users:
                named = ", ".join(f"{name!r} {a}.{b}.{c}" for name, a, b, c in users)
                raise RegistryError(
                    f"The collection {collection_id} can't be deleted while versions contain its items:"
                    f" {named}."
                )
            connection.execute(
                collections.update()
                .where(collections.c.id == collection_id)
                .values(deleted_at=datetime.now(UTC))
            )

    def add_operation(self, collection_id: str, source: AnnotationSource, *, path: str) -> Operation:
        """Register annotations (a Parquet file) of a collection's items.

        If an operation of the same source and file exists, it is returned instead.

        Args:
            collection_id: of a collection that is not deleted.
            source: who annotated.
            path: of the Parquet file of the annotations, relative to the home.

        Raises:
            RegistryError: the collection does not exist or is deleted.
        """
        with self._change() as connection:
            # The lock prevents another process from adding the same at the same time.
            lock_living_collection(connection, collection_id)
            there = connection.execute(
                sa.select(operations).where(
                    operations.c.collection_id == collection_id,
                    operations.c.source == AnnotationSource(source),
                    operations.c.path == path,
                )
            ).first()
            if there is not None:
                return Operation(**there._mapping)
            return _insert_operation(connection, collection_id, source, path)

    def operations(self, collection_id: str) -> list[Operation]:
        """Return the annotations of a collection's items in the order of their registration."""
        query = (
            sa.select(operations)
            .where(operations.c.collection_id == collection_id)
            .order_by(operations.c.created, operations.c.id)
        )
        with self._read() as connection:
            return [Operation(**row._mapping) for row in connection.execute(query)]

    def _find_same_content(self, collection: Collection) -> Collection:
        query = sa.select(collections).where(
            collections.c.name == collection.name,
            collections.c.source == collection.source,
            collections.c.content_hash == collection.content_hash,
            collections.c.deleted_at.is_(None),
        )
        with self._read() as connection:
            return Collection(**connection.execute(query).one()._mapping)


def _insert_operation(
    connection: sa.Connection, collection_id: str, source: AnnotationSource, path: str
) -> Operation:
    operation = Operation(
        id=uuid.uuid4().hex,
        collection_id=collection_id,
        source=AnnotationSource(source),
        path=path,
        created=datetime.now(UTC),
    )
    connection.execute(operations.insert().values(vars(operation)))
    return operation


def lock_living_collection(connection: sa.Connection, collection_id: str) -> None:
    """Prevent the deletion of a collection until the transaction ends.

    Args:
        connection: in a transaction.
        collection_id: of the collection.

    Raises:
        RegistryError: the collection does not exist, or is deleted.
    """
    connection.execute(sa.select(collections.c.id).where(collections.c.id == collection_id).with_for_update())
    if _find_record(connection, collection_id).deleted_at is not None:
        raise RegistryError(f"The collection {collection_id} is deleted, so it can't be used.")


def _find_record(connection: sa.Connection, collection_id: str) -> Collection:
    row = connection.execute(sa.select(collections).where(collections.c.id == collection_id)).first()
    if row is None:
        raise RegistryError(f"The registry has no collection {collection_id!r}; use the id of a listed one.")
    return Collection(**row._mapping)
