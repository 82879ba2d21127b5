"""Leases on batches of a build: of several processes on one home, one works on a batch and the others wait.

A holder that dies, or whose machine does, is noticed by its heartbeat: a number that it increases, so that no
two clocks need agree. Who waits takes over once the number has stayed the same for LAPSE_S by its own clock,
or at once where the holder is a process of this machine that has certainly died.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from factory_pipeline.datalake.registry.database import Database
from factory_pipeline.datalake.registry.heartbeat import beating
from factory_pipeline.datalake.registry.lease_holders import is_known_dead, shown, this_process
from factory_pipeline.datalake.registry.schema import batch_leases as table
from factory_pipeline.errors import RegistryError

BEAT_S = 10.0
"""Seconds between the heartbeats of a holder."""
LAPSE_S = 45.0
"""Seconds without a heartbeat after which a holder counts as dead: several beats may be late or lost."""
POLL_S = 1.0
"""Seconds between two looks at a lease that another process holds."""


class BatchKey(NamedTuple):
    """What is done once at a time."""

    build: str
    """The folder of the build's output, relative to the home: machines may mount a home elsewhere."""
    stage: str
    """What is done with the batch."""
    batch: str


class _Seen(NamedTuple):
    """A lease as another process has left it."""

    token: str
    holder: str
    beats: int


class BatchLeases(Database):
    """Leases that last as long as their holder's work on a batch."""

    @contextmanager
    def batch_lease(self, key: BatchKey, on_wait: Callable[[str], object] | None = None) -> Iterator[None]:
        """Hold the lease on a batch inside the block; wait for it where another process holds it.

        Args:
            key: what is done.
            on_wait: called once with a sentence that says for whom is waited.

        Raises:
            RegistryError: the database has not been available for LAPSE_S.
        """
        token = uuid.uuid4().hex
        self._acquire(key, token, on_wait)
        try:
            with beating(lambda: self.beat(token), BEAT_S):
                yield
        finally:
            # A lease that can't be released now lapses.
            with suppress(RegistryError), self._change() as connection:
                connection.execute(table.delete().where(table.c.token == token))

    def beat(self, token: str) -> None:
        """Give a sign of life of a lease's holder; a database that is away for a moment is told later."""
        with suppress(RegistryError), self._change() as connection:
            query = table.update().where(table.c.token == token)
            connection.execute(query.values(beats=table.c.beats + 1))

    def _acquire(self, key: BatchKey, token: str, on_wait: Callable[[str], object] | None) -> None:
        last: _Seen | None = None
        answered = since = monotonic()
        while True:
            try:
                seen = self._take(key, token)
                answered = monotonic()
                if seen is None:
                    return
                if seen != last:
                    if on_wait is not None and (last is None or last.token != seen.token):
                        on_wait(f"{shown(seen.holder)} works on {key.batch}; waiting for it.")
                    last, since = seen, answered
                elif answered - since >= LAPSE_S and self._take_over(key, seen, token):
                    return
            except RegistryError:
                since = monotonic()  # The holder could not reach the database either.
                if since - answered >= LAPSE_S:
                    raise
            sleep(POLL_S)

    def _take(self, key: BatchKey, token: str) -> _Seen | None:
        """Take a lease that nobody holds, or whose holder has certainly died; else return it as it is."""
        seen = self._look(key)
        if seen is None:
            # Another process may have inserted it since.
            with suppress(IntegrityError), self._change() as connection:
                row = {"token": token, "holder": this_process(), "beats": 0}
                connection.execute(table.insert().values(**key._asdict(), **row))
                return None
            return self._look(key) or _Seen("", "", 0)
        if is_known_dead(seen.holder) and self._take_over(key, seen, token):
            return None
        return seen

    def _look(self, key: BatchKey) -> _Seen | None:
        query = sa.select(table.c.token, table.c.holder, table.c.beats).where(*_is(key))
        with self._read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _Seen(*row)

    def _take_over(self, key: BatchKey, seen: _Seen, token: str) -> bool:
        """Take a lease from its holder, unless it has changed since it was seen."""
        same = (table.c.token == seen.token, table.c.beats == seen.beats)
        with self._change() as connection:
            query = table.update().where(*_is(key), *same)
            taken = connection.execute(query.values(token=token, holder=this_process(), beats=0))
        return taken.rowcount == 1


def _is(key: BatchKey) -> tuple[sa.ColumnElement[bool], ...]:
    return tuple(table.c[name] == value for name, value in key._asdict().items())
