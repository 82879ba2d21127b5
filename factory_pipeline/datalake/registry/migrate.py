"""Bring a registry database to the newest schema; safe when several processes do it at once."""

import threading
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
"""Any number that no other program takes on the same PostgreSQL database."""

# Alembic keeps the running migration in a module's variable.
_one_thread = threading.Lock()


def upgrade(engine: sa.Engine) -> None:
    """Run the revisions that the database lacks, all in one transaction.

    Raises:
        RegistryError: the database has a revision that this program does not know.
    """
    with engine.connect() as connection, connection.begin():
        if _is_newest(connection):
            return
    with _one_thread, engine.connect() as connection, connection.execution_options(changes=True).begin():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
        command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: sa.Connection) -> Config:
    """Alembic on this connection, inside its running transaction."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _is_newest(connection: sa.Connection) -> bool:
    script = ScriptDirectory(str(MIGRATIONS))
    revision = MigrationContext.configure(connection).get_current_revision()
    known = {step.revision for step in script.walk_revisions()}
    if revision is not None and revision not in known:
        raise RegistryError(
            f"The registry {display(connection.engine.url)} was made by a newer "
            f"version of factory-pipeline (revision {revision}); upgrade factory-pipeline to open it."
        )
    return revision == script.get_current_head()
