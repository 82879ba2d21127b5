"""The migrations make the tables of the schema, once, and refuse a database of a newer version."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from factory_pipeline.datalake.registry.migrate import is_newest, upgrade
from factory_pipeline.datalake.registry.schema import add_postgresql_conditions, metadata
from factory_pipeline.errors import RegistryError


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'registry.db'}")
    yield engine
    engine.dispose()


def test_all_migrations_together_make_the_tables_of_the_schema(engine: sa.Engine) -> None:
    upgrade(engine)
    with engine.connect() as connection:
        assert is_newest(connection)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_of_this_version_is_left_as_it_is(engine: sa.Engine) -> None:
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE kept (a INTEGER)"))
        before = sa.inspect(connection).get_table_names()
    upgrade(engine)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == before


def test_a_database_of_a_newer_version_is_refused_and_named(engine: sa.Engine) -> None:
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RegistryError, match=r"made by a newer version .*revision 9999.*upgrade"):
        upgrade(engine)


def test_revisions_for_postgresql_have_the_conditions_of_indices_of_some_rows() -> None:
    add_postgresql_conditions()
    [index] = [
        index for index in metadata.tables["datasets"].indexes if index.name == "uq_datasets_living_name"
    ]
    made = sa.schema.CreateIndex(index).compile(dialect=sa.create_mock_engine("postgresql://", print).dialect)
    assert str(made).endswith("WHERE deleted_at IS NULL")
