"""The location of a registry: a path, or the URL of an SQLite file or a PostgreSQL database."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from factory_pipeline.errors import RegistryError

ALLOWED = "allowed are a path and URLs such as postgresql://user@host/database"


def registry_url(where: str | Path) -> sa.URL:
    """Return the database URL, with its driver, of a path or URL.

    Raises:
        RegistryError: it is not a URL, or one of another kind of database.
    """
    if isinstance(where, Path) or "://" not in where:
        return sa.URL.create("sqlite", database=str(Path(where).absolute()))
    if where.startswith("postgres://"):
        where = where.replace("postgres", "postgresql", 1)
    try:
        url = sa.make_url(where)
        backend = url.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        # The cause repeats the address with its password.
        raise RegistryError(f"The address of the registry is not a database URL; {ALLOWED}.") from None
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise RegistryError(f"The registry can't be in memory, where it would be lost; {ALLOWED}.")
        return url.set(drivername="sqlite")
    raise RegistryError(f"The registry can't be in a database of the kind {backend!r}; {ALLOWED}.")


def is_shared(where: str | Path) -> bool:
    """Return whether a registry is in a database that processes of several machines use at once."""
    return registry_url(where).get_backend_name() == "postgresql"


def display(url: sa.URL) -> str:
    """Return the address without user, password and options, any of which may be a secret."""
    if url.get_backend_name() == "sqlite":
        return url.database or "memory"
    return f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"
