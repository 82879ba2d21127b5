"""Upgrading a registry database to the newest schema; safe if several processes do it at once."""

import threading
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from factory_pipeline.datalake.registry.url import display
from factory_pipeline.errors import RegistryError

MIGRATIONS = Path(__file__).with_name("migrations")
ADVISORY_LOCK = 4_702_111_234_432_150_116
"""The number of an advisory lock that no other program uses on the same PostgreSQL database."""

# Alembic stores the running migration in a module's variable.
_one_thread = threading.Lock()


def upgrade(engine: sa.Engine) -> None:
    """Run the revisions that the database lacks, all in one transaction.

    Raises:
        RegistryError: the database has a revision that is unknown to this version.
    """
    with engine.connect() as connection, connection.begin():
        if is_newest(connection):
            return
    with _one_thread, engine.connect() as connection, connection.execution_options(changes=True).begin():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
        command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: sa.Connection) -> Config:
    """Return the configuration of Alembic on this connection, inside its running transaction."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def is_newest(connection: sa.Connection) -> bool:
    """Return whether the database has this version's tables.

    Raises:
        RegistryError: the database has a revision that this program does not know.
    """
    newest, known = _revisions()
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None and revision not in known:
        raise RegistryError(
            f"The registry {display(connection.engine.url)} was made by a newer "
            f"version of factory-pipeline (revision {revision}); upgrade factory-pipeline to open it."
        )
    return revision == newest


@cache
def _revisions() -> tuple[str | None, frozenset[str]]:
    """Return the newest revision and all of them; Alembic imports their files each time that it is asked."""
    script = ScriptDirectory(str(MIGRATIONS))
    return script.get_current_head(), frozenset(step.revision for step in script.walk_revisions())
