"""The lock of a run, which shows other processes that the process of the run is alive.

Where the registry is a file, the lock is one too: all processes are on one machine, and the system releases
the lock of a dead one. Where the registry is a database server, the processes may be on several machines, and
the lock is a sign of life in the registry that is renewed every few seconds.

Dagster's resources can't hold it: a resource that is given up at the end can't be handed to a sensor or an
asset that is called directly.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.registry.run_signs import BEAT_S
from factory_pipeline.datalake.registry.url import is_shared
from factory_pipeline.storage.atomic import file_lock, is_held
from factory_pipeline.storage.layout import FactoryHome

SECONDS_TO_END = 3.0
"""A run gives its lock up a moment before it is recorded as ended."""

_held: dict[Path, ExitStack] = {}


class Life(Enum):
    """What the lock of a run tells of its process."""

    ALIVE = auto()
    """It holds the lock."""
    DEAD = auto()
    """It held the lock and did not release it."""
    UNKNOWN = auto()
    """No process holds the lock, or has died holding it."""


class RunLocks(Protocol):
    """The locks of the runs of a home."""

    seconds_to_look_again: float
    """Who is dead now and after this long is dead."""

    def hold(self, run_id: str) -> AbstractContextManager[None]:
        """Hold the lock of a run inside the block.

        Args:
            run_id: of the Dagster run.
        """

    def life(self, run_id: str) -> Life:
        """Return what the lock of a run tells of its process.

        Args:
            run_id: of the Dagster run.
        """

    def forget(self, run_id: str) -> None:
        """Remove what is left of the lock of a run that has ended.

        Args:
            run_id: of the Dagster run.
        """

    def run_ids(self) -> set[str]:
        """Return the runs whose lock is held, or was left by a process that has ended."""


class _LockFiles:
    """Locks that the system keeps, for processes of one machine."""

    def __init__(self, home: FactoryHome) -> None:
        self._home = home
        self.seconds_to_look_again = SECONDS_TO_END

    @contextmanager
    def hold(self, run_id: str) -> Iterator[None]:
        with file_lock(self._home.run_lock(run_id)):
            try:
                yield
            finally:
                self.forget(run_id)

    def life(self, run_id: str) -> Life:
        lock = self._home.run_lock(run_id)
        if is_held(lock):
            return Life.ALIVE
        return Life.DEAD if lock.exists() else Life.UNKNOWN

    def forget(self, run_id: str) -> None:
        self._home.run_lock(run_id).unlink(missing_ok=True)

    def run_ids(self) -> set[str]:
        return set(self._home.locked_runs())


class _Signs:
    """Signs of life in the registry, for processes of several machines."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # A live process gives another sign within this, whatever step the database's clock made.
        self.seconds_to_look_again = BEAT_S + SECONDS_TO_END

    def hold(self, run_id: str) -> AbstractContextManager[None]:
        return self._registry.shown_alive(run_id)

    def life(self, run_id: str) -> Life:
        sign = self._registry.run_sign(run_id)
        if sign is None:
            return Life.UNKNOWN
        return Life.DEAD if sign.is_dead else Life.ALIVE

    def forget(self, run_id: str) -> None:
        self._registry.forget_run(run_id)

    def run_ids(self) -> set[str]:
        return set(self._registry.run_holders())


@contextmanager
def open_run_locks(home: FactoryHome) -> Iterator[RunLocks]:
    """Yield the locks of the runs of a home.

    Args:
        home: contains their files, unless FACTORY_REGISTRY names a database server.

    Raises:
        RegistryError: the database server is not available.
    """
    if not is_shared(home.registry_address):
        yield _LockFiles(home)
        return
    with closing(open_registry(home)) as registry:
        yield _Signs(registry)


def hold_run_lock(home: FactoryHome, run_id: str) -> None:
    """Hold the lock of a run until it is released, or until this process ends in whatever way.

    Args:
        home: of the run.
        run_id: of the Dagster run.

    Raises:
        RegistryError: the lock is in a database that is not available.
    """
    lock = home.run_lock(run_id)
    if lock in _held:
        return
    with ExitStack() as stack:
        locks = stack.enter_context(open_run_locks(home))
        stack.enter_context(locks.hold(run_id))
        _held[lock] = stack.pop_all()


def release_run_lock(home: FactoryHome, run_id: str) -> None:
    """Release the lock of a run that has ended in this process; nothing of it is left.

    Args:
        home: of the run.
        run_id: of the Dagster run; one whose lock this process does not hold is allowed.

    Raises:
        RegistryError: the lock is in a database that is not available.
    """
    held = _held.pop(home.run_lock(run_id), None)
    if held is not None:
        held.close()
        return
    with open_run_locks(home) as locks:
        locks.forget(run_id)


@contextmanager
def held_run_lock(home: FactoryHome, run_id: str) -> Iterator[None]:
    """Hold the lock of a run inside the block; one that this process holds already stays held after it.

    Args:
        home: of the run.
        run_id: of the Dagster run.

    Raises:
        RegistryError: the lock is in a database that is not available at the beginning.
    """
    if home.run_lock(run_id) in _held:
        yield
        return
    hold_run_lock(home, run_id)
    try:
        yield
    finally:
        release_run_lock(home, run_id)
