"""Upgrading a registry database to the newest schema; safe if several processes do it at once.

Alembic takes as long to import as all else that reading a registry needs; it is imported where a database
lacks a revision.
"""

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from factory_pipeline.datalake.registry.url import display
from factory_pipeline.errors import RegistryError

if TYPE_CHECKING:
    from alembic.config import Config

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
    from alembic import command

    with _one_thread, engine.connect() as connection, connection.execution_options(changes=True).begin():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
        command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: sa.Connection) -> "Config":
    """Return the configuration of Alembic on this connection, inside its running transaction."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def is_newest(connection: sa.Connection) -> bool:
    """Return whether the database has this version's tables.

    Raises:
        RegistryError: the database has a revision that this program does not know.
    """
    known = known_revisions()
    revision = _revision(connection)
    if revision is not None and revision not in known:
        raise RegistryError(
            f"The registry {display(connection.engine.url)} was made by a newer "
            f"version of factory-pipeline (revision {revision}); upgrade factory-pipeline to open it."
        )
    return revision == known[-1]


def _revision(connection: sa.Connection) -> str | None:
    """Return the revision that Alembic has noted in a database; None in one without tables."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    noted: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return noted


@cache
def known_revisions() -> tuple[str, ...]:
    """Return the revisions in their order, the newest last, by the names of their files (`r0001_...`)."""
    return tuple(sorted(path.name[1:5] for path in (MIGRATIONS / "versions").glob("r[0-9]*.py")))
