"""The run history of a home on an object store: Dagster's tables, in the database of the home's registry.

The tables are in a schema of their own, `dagster`. The database's address, which may have a password, comes
from the environment: it is in no configuration that Dagster passes to other processes or shows.
"""

import os
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from dagster._serdes import ConfigurableClassData
from dagster_postgres.storage import DagsterPostgresStorage

from factory_pipeline.datalake.registry.url import registry_url

SCHEMA = "dagster"
"""The schema of Dagster's tables."""
CREATING = 4_208_115_977
"""Number of the lock that the process holds that creates the tables; any number that others don't use."""
UNFINISHED = sa.Table("being_created", sa.MetaData(), sa.Column("dagster", sa.Text), schema=SCHEMA)
"""Exists while Dagster's tables are created: each is created in a transaction of its own, and later the first
one counts for all."""


class SharedHistory(DagsterPostgresStorage):
    """All that Dagster stores, in the database that FACTORY_REGISTRY names."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the tables, and create them where they are missing.

        Those over which a process was killed are created again from nothing.

        Args:
            inst_data: Dagster's record of where the configuration is from.

        Raises:
            RegistryError: FACTORY_REGISTRY names no database.
        """
        url = registry_url(os.environ.get("FACTORY_REGISTRY") or "")
        # Dagster's statements are written for this driver.
        inside = url.set(drivername="postgresql+psycopg2")
        inside = inside.update_query_dict({"options": f"-csearch_path={SCHEMA}"})
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        # Two processes that create Dagster's tables at the same time both fail.
        with engine.connect() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_lock(CREATING)))
            connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
            _begin_creation(connection)
            super().__init__(inside.render_as_string(hide_password=False), inst_data=inst_data)
            UNFINISHED.drop(connection, checkfirst=True)
            connection.commit()

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the keys of its configuration: none."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SharedHistory":
        """Return the storage that a configuration describes.

        Args:
            inst_data: Dagster's record of where the configuration is from.
            config_value: empty.
        """
        return cls(inst_data=inst_data, **config_value)


def _begin_creation(connection: sa.Connection) -> None:
    """Note that the tables are not all there yet, unless they are."""
    existing = sa.inspect(connection).get_table_names(SCHEMA)
    if UNFINISHED.name in existing:
        unfinished = sa.MetaData(SCHEMA)
        unfinished.reflect(connection)
        unfinished.drop_all(connection)
        existing = []
    if not existing:
        UNFINISHED.create(connection)
    connection.commit()
