"""Opening a registry: addresses, making, upgrading."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from factory_pipeline.datalake.registry.migrate import MIGRATIONS, alembic_config, known_revisions
from factory_pipeline.datalake.registry.records import AnnotationSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.registry.schema import metadata
from factory_pipeline.datalake.registry.url import display, registry_url
from factory_pipeline.errors import RegistryError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.registry.factories import KEY, MANIFEST


def test_what_was_registered_is_there_when_the_registry_is_opened_again(where: str) -> None:
    first = Registry.open(where)
    first.register_upload(KEY, MANIFEST)
    first.close()
    assert Registry.open(where).upload(KEY).manifest == MANIFEST


def test_the_registry_of_a_home_is_an_sqlite_file_with_a_write_ahead_log(tmp_path: Path) -> None:
    path = FactoryHome(tmp_path / "home").registry
    Registry.open(path)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar_one() == "wal"
    assert path == tmp_path / "home" / "registry.db"


def test_the_migrations_make_the_tables_that_the_program_uses(where: str) -> None:
    Registry.open(where).close()
    engine = sa.create_engine(registry_url(where))
    with engine.begin() as connection:
        command.check(alembic_config(connection))
        assert set(metadata.tables) < set(sa.inspect(connection).get_table_names())
    engine.dispose()


def test_a_registry_of_the_first_schema_is_upgraded_with_what_it_holds(where: str) -> None:
    url = registry_url(where)
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        row = "('c', 'balloons', 'upload', 'items.parquet', 1, 'h', '2026-01-01 00:00:00', NULL)"
        connection.execute(sa.text(f"INSERT INTO collections VALUES {row}"))
        row = "('o', 'c', 'human', 'boxes.parquet', '2026-01-01 00:00:00')"
        connection.execute(sa.text(f"INSERT INTO operations VALUES {row}"))
    engine.dispose()
    upgraded = Registry.open(where)
    assert [operation.id for operation in upgraded.operations("c")] == ["o"]
    assert upgraded.add_operation("c", AnnotationSource.HUMAN, path="boxes.parquet").id == "o"


def test_alembic_has_the_revisions_that_the_names_of_their_files_say() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    steps = [step.revision for step in script.walk_revisions()]
    assert known_revisions() == tuple(reversed(steps))
    assert script.get_current_head() == known_revisions()[-1]


def test_an_upgrade_that_fails_midway_leaves_the_database_as_it_was(where: str) -> None:
    url = registry_url(where)
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE exports (something_else INTEGER)"))
    with pytest.raises(RegistryError, match="exports"):
        Registry.open(where)
    assert sa.inspect(engine).get_table_names() == ["exports"]
    engine.dispose()


def test_a_database_of_a_newer_program_is_refused_and_left_alone(where: str) -> None:
    Registry.open(where).close()
    engine = sa.create_engine(registry_url(where))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RegistryError, match=r"newer version of factory-pipeline \(revision 9999\)"):
        Registry.open(where)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
    engine.dispose()


@pytest.mark.parametrize(
    "address",
    [
        "mysql://me:hush@db/registry",
        "sqlite://",
        "sqlite:///:memory:",
        "oracle7://me:hush@db",
        "a://[hush",
        "://hush",
    ],
)
def test_an_address_of_another_kind_is_refused_by_what_is_allowed(address: str) -> None:
    with pytest.raises(RegistryError, match="allowed are a path and URLs such as postgresql://") as refused:
        Registry.open(address)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_uses_the_driver_that_is_installed(scheme: str) -> None:
    url = registry_url(f"{scheme}://me@db/registry")
    assert (url.drivername, url.host, url.database) == ("postgresql+psycopg", "db", "registry")


def test_a_database_that_does_not_answer_is_named_without_its_secrets() -> None:
    with pytest.raises(
        RegistryError, match=r"The registry postgresql://127\.0\.0\.1/registry can't be used"
    ) as away:
        Registry.open("postgresql://me:hush@127.0.0.1:1/registry?password=hush")
    assert "hush" not in str(away.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    path.write_text("This is a text, and a long one, that somebody keeps in the wrong place." * 20)
    with pytest.raises(RegistryError, match="can't be used: file is not a database"):
        Registry.open(path)


def test_a_folder_that_cant_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(RegistryError, match="home can't be created for the registry"):
        Registry.open(tmp_path / "home" / "registry.db")


def test_an_address_is_shown_without_user_password_and_options() -> None:
    assert (
        display(registry_url("postgresql://me:hush@db:5433/registry?sslkey=hush"))
        == "postgresql://db/registry"
    )
    assert display(registry_url(Path("/data/registry.db"))) == "/data/registry.db"
