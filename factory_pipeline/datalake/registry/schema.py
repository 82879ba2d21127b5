"""The tables of the registry: only mutable state; items and manifests of versions are Parquet files.

A change here needs a revision in `migrations/versions`.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from factory_pipeline.datalake.registry.records import (
    AnnotationSource,
    CollectionSource,
    ExportState,
    LeaseKind,
    UploadStatus,
    VersionState,
)


class Instant(sa.TypeDecorator[datetime]):
    """A moment in UTC; SQLite stores no time zone, so it is restored on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Convert to UTC for storage.

        Args:
            value: aware, in any time zone.
            dialect: of the database; not used.
        """
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Return the value with its time zone.

        Args:
            value: as the database returns it; SQLite returns UTC without time zone.
            dialect: of the database; not used.
        """
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _enum_type(kind: type[StrEnum]) -> sa.Enum:
    """Return the column type of texts that are values of `kind`."""
    return sa.Enum(
        kind, native_enum=False, length=20, values_callable=lambda values: [value.value for value in values]
    )


def _where_living(column: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(f"{column} IS NULL")}


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("manifest", sa.Text, nullable=False),
    sa.Column("status", _enum_type(UploadStatus), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("code", sa.Text),
    sa.Column("run_id", sa.Text),
    sa.Column("created", Instant, nullable=False),
    sa.Column("updated", Instant, nullable=False),
    sa.Column("deleted_at", Instant),
)

collections = sa.Table(
    "collections",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("source", _enum_type(CollectionSource), nullable=False),
    sa.Column("items_path", sa.Text, nullable=False),
    sa.Column("item_count", sa.BigInteger, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("created", Instant, nullable=False),
    sa.Column("deleted_at", Instant),
    sa.Index(
        "uq_collections_living_content",
        "name",
        "source",
        "content_hash",
        unique=True,
        **_where_living("deleted_at"),
    ),
)

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("collection_id", sa.ForeignKey("collections.id"), nullable=False, index=True),
    sa.Column("source", _enum_type(AnnotationSource), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("created", Instant, nullable=False),
    sa.UniqueConstraint("collection_id", "source", "path"),
)

datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created", Instant, nullable=False),
    sa.Column("deleted_at", Instant),
    sa.Index("uq_datasets_living_name", "name", unique=True, **_where_living("deleted_at")),
)

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("dataset_id", sa.ForeignKey("datasets.id"), nullable=False),
    sa.Column("major", sa.Integer, nullable=False),
    sa.Column("minor", sa.Integer, nullable=False),
    sa.Column("patch", sa.Integer, nullable=False),
    sa.Column("source_version_id", sa.ForeignKey("versions.id")),
    sa.Column("state", _enum_type(VersionState), nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("manifest_path", sa.Text),
    sa.Column("content_hash", sa.Text),
    sa.Column("created", Instant, nullable=False),
    sa.UniqueConstraint("dataset_id", "major", "minor", "patch"),
)

version_collections = sa.Table(
    "version_collections",
    metadata,
    sa.Column("version_id", sa.ForeignKey("versions.id"), primary_key=True),
    sa.Column("collection_id", sa.ForeignKey("collections.id"), primary_key=True, index=True),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version_id", sa.ForeignKey("versions.id"), nullable=False, index=True),
    sa.Column("kind", _enum_type(LeaseKind), nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("expires", Instant, nullable=False),
)

batch_leases = sa.Table(
    "batch_leases",
    metadata,
    sa.Column("build", sa.Text, primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("batch", sa.Text, primary_key=True),
    sa.Column("token", sa.Text, nullable=False, unique=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("beats", sa.BigInteger, nullable=False),
)

run_signs = sa.Table(
    "run_signs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("seen", Instant, nullable=False),
)

exports = sa.Table(
    "exports",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version_id", sa.ForeignKey("versions.id"), nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("state", _enum_type(ExportState), nullable=False),
    sa.Column("lease_id", sa.Text),
    sa.Column("path", sa.Text),
    sa.Column("content_hash", sa.Text),
    sa.Column("created", Instant, nullable=False),
    sa.UniqueConstraint("version_id", "type"),
)


def add_postgresql_conditions() -> None:
    """Give indices of some rows their condition for PostgreSQL too, which new revisions are made from.

    Nothing else needs it, and importing the dialect takes every command 0.05 s of CPU.
    """
    for table in metadata.tables.values():
        for index in table.indexes:
            if (condition := index.dialect_kwargs.get("sqlite_where")) is not None:
                index.dialect_kwargs["postgresql_where"] = condition
