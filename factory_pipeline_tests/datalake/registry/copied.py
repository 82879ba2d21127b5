"""New SQLite registries as copies of one that was migrated, by migrations that are read once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from factory_pipeline.datalake.registry import database
from factory_pipeline.datalake.registry.migrate import upgrade

_one_thread = threading.Lock()


@cache
def _script() -> str:
    """The statements that make the newest schema, as the migrations made it."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    upgrade(engine)
    with engine.connect() as connection:
        script = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    engine.dispose()
    return script


def _copy_or_upgrade(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        with _one_thread:
            if not sa.inspect(engine).get_table_names():
                raw = engine.raw_connection()
                try:
                    raw.driver_connection.executescript(_script())  # type: ignore[union-attr]
                finally:
                    raw.close()
    upgrade(engine)


@contextmanager
def copied_registries() -> Iterator[None]:
    """Open registries by a copy; one that has tables already is upgraded as always."""
    with patch.object(database, "upgrade", _copy_or_upgrade):
        yield


@contextmanager
def kept_migrations() -> Iterator[None]:
    """Read each folder of migrations once: Alembic reads its files anew for every database that it opens."""
    read = ScriptDirectory.from_config
    kept: dict[tuple[str | None, str | None], ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        place = (config.config_file_name, config.get_main_option("script_location"))
        if place not in kept:
            kept[place] = read(config)
        return kept[place]

    with patch.object(ScriptDirectory, "from_config", from_config):
        yield
