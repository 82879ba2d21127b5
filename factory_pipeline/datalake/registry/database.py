"""The connection to the registry's database, SQLite or PostgreSQL, and its two kinds of transaction."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from factory_pipeline.datalake.registry.migrate import is_newest, upgrade
from factory_pipeline.datalake.registry.url import display, registry_url
from factory_pipeline.errors import RegistryError
from factory_pipeline.extras import extras_named

LOCK_WAIT_S = 60.0
"""How long a change waits for another process's change to an SQLite file, in seconds."""
CONNECT_TIMEOUT_S = 10


class Database:
    """An open registry database at the newest schema; safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        """Wrap an engine whose database has the newest schema; use `open` instead."""
        self._engine = engine

    @classmethod
    def open(cls, where: str | Path) -> Self:
        """Open the registry at a path (SQLite) or at a URL; create or upgrade it if necessary.

        SQLite writes a write-ahead log beside the file, so the file must be on a local disk.

        Raises:
            RegistryError: the address is not allowed, the database can't be reached, or it was made by a
                newer version of this program.
        """
        engine = _engine(where)
        with _database_errors(engine.url):
            upgrade(engine)
        return cls(engine)

    @staticmethod
    def is_migrated(where: str | Path) -> tuple[bool, str]:
        """Return whether a database has this version's tables, and its address without secrets.

        Nothing is created or upgraded.

        Args:
            where: as of `open`.

        Raises:
            RegistryError: as of `open`.
        """
        engine = _engine(where)
        try:
            with _database_errors(engine.url), engine.connect() as connection:
                return is_newest(connection), display(engine.url)
        finally:
            engine.dispose()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the database."""
        with _database_errors(self._engine.url), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _change(self) -> Iterator[sa.Connection]:
        """Yield a transaction that is committed at its end, or rolled back after an error.

        On SQLite it waits for every other change; on PostgreSQL the rows that a decision depends on must be
        locked by `with_for_update`.
        """
        with (
            _database_errors(self._engine.url),
            self._engine.connect() as connection,
            connection.execution_options(changes=True).begin(),
        ):
            yield connection


@contextmanager
def _database_errors(url: sa.URL) -> Iterator[None]:
    """Turn the database's own failures into one sentence without the password."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        raise RegistryError(f"The registry {display(url)} can't be used: {said}") from error


def _engine(where: str | Path) -> sa.Engine:
    url = registry_url(where)
    if url.get_backend_name() == "postgresql":
        with extras_named():
            return sa.create_engine(
                url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_S}
            )
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(
            f"The folder {path.parent} can't be created for the registry: {error.strerror}."
        ) from error
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_WAIT_S})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # _begin_sqlite begins transactions, not the driver
    _use_log(connection)


def _use_log(connection: sqlite3.Connection) -> None:
    """Switch a new file to a write-ahead log.

    If several connections switch it at once, SQLite refuses all but one without waiting, whatever its
    timeout.
    """
    last = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    # A revision may copy a table and drop the old one, to whose rows other tables refer.
    connection.exec_driver_sql(f"PRAGMA foreign_keys = {'OFF' if options.get('upgrades') else 'ON'}")
    # A change acquires the write lock at once: later, after a read, it would fail instead of waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("changes") else "BEGIN")
