"""Work that Dagster's daemon does: it onboards what is in the inbox of uploads, as it does for `factory ui`.

The daemon is a child of the command's process, with a code server and processes of runs below it. It is
forked where `factory ui` starts a new Python, as importing takes seconds.
"""

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import yaml

from factory_pipeline.runs import with_parent
from factory_pipeline.runs.instance import DEFINITIONS, environment_of, prepare_home
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of

SECONDS_BETWEEN_LOOKS = 0.2
RUNNING = "SELECT count(*) FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
TAKEN_IN = "SELECT count(*) FROM uploads"
SECONDS = "SELECT (julianday(max(updated)) - julianday(min(created))) * 86400 FROM uploads"
ENDED = "SELECT count(*) FROM uploads WHERE status IN ('Succeeded', 'Failed')"


def main(arguments: Sequence[str]) -> None:
    """Have a daemon work until so many uploads have ended, then end it.

    Args:
        arguments: the number of uploads.
    """
    home = FactoryHome.from_environment()
    prepare_home(home)
    os.environ.update(environment_of(home))
    daemon = os.fork()
    if daemon == 0:
        sys.argv = [with_parent.__name__, str(os.getppid()), "dagster._daemon", "run", "-m", DEFINITIONS]
        with_parent.main()
        return
    while not is_done(home, int(arguments[0])):
        if os.waitpid(daemon, os.WNOHANG) != (0, 0):
            sys.exit("Error: The daemon ended by itself.")
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os.kill(daemon, signal.SIGTERM)
    os.waitpid(daemon, 0)


def is_done(home: FactoryHome, uploads: int) -> bool:
    """Return whether so many uploads have ended, and all runs.

    Args:
        home: of the factory.
        uploads: how many are in its inbox.
    """
    history = home.dagster / "history" / "runs.db"
    return _ask(home.registry, ENDED) == uploads and not _ask(history, RUNNING)


def has_begun(home: FactoryHome) -> bool:
    """Return whether an upload was taken in.

    Args:
        home: of the factory.
    """
    return bool(_ask(home.registry, TAKEN_IN))


def seconds_of_work(home: FactoryHome) -> float:
    """Return how long uploads took that have ended, from the first one's beginning to the last one's end.

    Args:
        home: of the factory.
    """
    return _ask(home.registry, SECONDS)


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


def _ask(database: Path, query: str) -> float:
    address = f"file:{database}?mode=ro"
    # A database or table that is not there yet has no rows.
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(address, uri=True)) as connection:
        return float(connection.execute(query).fetchone()[0])
    return 0
