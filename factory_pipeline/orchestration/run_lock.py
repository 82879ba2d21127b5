"""The lock of a run, which shows other processes that the process of the run is alive.

Dagster's resources can't hold it: a resource that is given up at the end can't be handed to a sensor or an
asset that is called directly.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from factory_pipeline.storage.atomic import open_locked
from factory_pipeline.storage.layout import FactoryHome

_held: dict[Path, IO[str]] = {}


def hold_run_lock(home: FactoryHome, run_id: str) -> None:
    """Hold the lock of a run until it is released, or until this process ends in whatever way.

    Args:
        home: contains the lock's file.
        run_id: of the Dagster run.
    """
    lock = home.run_lock(run_id)
    if lock not in _held:
        _held[lock] = open_locked(lock)


def release_run_lock(home: FactoryHome, run_id: str) -> None:
    """Release the lock of a run that has ended in this process; its file is needed no more.

    Args:
        home: contains the lock's file.
        run_id: of the Dagster run; one whose lock this process does not hold is allowed.
    """
    lock = home.run_lock(run_id)
    lock.unlink(missing_ok=True)
    if lock in _held:
        _held.pop(lock).close()


@contextmanager
def held_run_lock(home: FactoryHome, run_id: str) -> Iterator[None]:
    """Hold the lock of a run inside the block.

    Args:
        home: contains the lock's file.
        run_id: of the Dagster run.
    """
    hold_run_lock(home, run_id)
    try:
        yield
    finally:
        release_run_lock(home, run_id)
