"""Work that Dagster's daemon does: it onboards what is in the inbox of uploads, as it does for `factory ui`.

The daemon is a child of the command's process, with a code server and processes of runs below it. It is
forked where `factory ui` starts a new Python, as importing takes seconds.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from sqlalchemy.exc import DBAPIError

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.datalake.registry.schema import uploads as table
from factory_pipeline.datalake.registry.url import registry_url
from factory_pipeline.runs import with_parent
from factory_pipeline.runs.instance import DEFINITIONS, environment_of, prepare_home
from factory_pipeline.runs.shared_history import SCHEMA
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of

SECONDS_BETWEEN_LOOKS = 0.2
ENDED = (UploadStatus.SUCCEEDED, UploadStatus.FAILED)
RUNNING = "SELECT count(*) FROM {schema}runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"


class Progress:
    """What the databases of a home tell of the work of its daemon."""

    def __init__(self, home: FactoryHome, registry: str | None) -> None:
        """Take their addresses.

        Args:
            home: of the factory.
            registry: the address of a PostgreSQL database; None: the registry is a file of the home.
        """
        self._registry = registry_url(registry or home.registry)
        if home.is_remote:
            self._history, schema = self._registry, f"{SCHEMA}."
        else:
            self._history, schema = registry_url(home.dagster / "history" / "runs.db"), ""
        self._running = sa.text(RUNNING.format(schema=schema))

    def has_begun(self) -> bool:
        """Return whether an upload was taken in."""
        return bool(self._count(self._registry, sa.select(sa.func.count()).select_from(table)))

    def is_done(self, uploads: int) -> bool:
        """Return whether so many uploads have ended, and all runs.

        Args:
            uploads: how many are in the inbox.
        """
        ended = sa.select(sa.func.count()).where(table.c.status.in_(ENDED))
        return self._count(self._registry, ended) == uploads and not self._count(self._history, self._running)

    def seconds(self) -> float:
        """Return how long uploads took that have ended, from the first one's begin to the last one's end."""
        times = self._ask(
            self._registry, sa.select(sa.func.min(table.c.created), sa.func.max(table.c.updated))
        )
        assert times is not None, "nothing was taken in"
        return (times[1] - times[0]).total_seconds()

    def _count(self, database: sa.URL, query: sa.Executable) -> int:
        row = self._ask(database, query)
        return 0 if row is None else row[0]

    def _ask(self, database: sa.URL, query: sa.Executable) -> sa.Row[Any] | None:
        """Return the only row of the answer; None if there is no such file or table yet."""
        if database.get_backend_name() == "sqlite" and not Path(database.database or "").exists():
            return None
        engine = sa.create_engine(database, poolclass=sa.NullPool)
        with suppress(DBAPIError), engine.connect() as connection:
            return connection.execute(query).one()
        return None


def main(arguments: Sequence[str]) -> None:
    """Have a daemon work until so many uploads have ended, then end it.

    Args:
        arguments: the number of uploads.
    """
    home = FactoryHome.from_environment()
    daemon = os.fork()
    if daemon == 0:
        # The client of an object store, once it has been used, does not work in forked processes.
        prepare_home(home)
        os.environ.update(environment_of(home))
        sys.argv = [with_parent.__name__, str(os.getppid()), "dagster._daemon", "run", "-m", DEFINITIONS]
        with_parent.main()
        return
    progress = Progress(home, os.environ.get("FACTORY_REGISTRY"))
    while not progress.is_done(int(arguments[0])):
        if os.waitpid(daemon, os.WNOHANG) != (0, 0):
            sys.exit("Error: The daemon ended by itself.")
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os.kill(daemon, signal.SIGTERM)
    os.waitpid(daemon, 0)


def fill_inbox(inbox: Path, uploads: int) -> None:
    """Drop uploads into an inbox, each a manifest and its archive.

    Args:
        inbox: a folder, which is made.
        uploads: how many.
    """
    inbox.mkdir(parents=True)
    for number in range(uploads):
        archive = f"upload{number}.zip"
        (inbox / f"upload{number}.yaml").write_text(yaml.safe_dump({**MANIFEST, "dataset_url": archive}))
        zip_of(inbox / archive, pairs(5 + number))
