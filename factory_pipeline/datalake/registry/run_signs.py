"""Signs of life of runs, for homes whose runs are spread over machines.

A process that works on a run writes the time down every few seconds. The time is the database's, which is one
for all machines, and a process of this machine that has certainly died is known at once.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import sqlalchemy as sa

from factory_pipeline.datalake.registry.database import Database
from factory_pipeline.datalake.registry.heartbeat import beating
from factory_pipeline.datalake.registry.lease_holders import is_known_dead, this_process
from factory_pipeline.datalake.registry.schema import Instant
from factory_pipeline.datalake.registry.schema import run_signs as table
from factory_pipeline.errors import RegistryError

BEAT_S = 10.0
"""Seconds between two signs of life."""
LAPSE_S = 45.0
"""Seconds without a sign after which a process counts as dead: several may be late or lost."""


class RunSign(NamedTuple):
    """The last sign of life of a run."""

    holder: str
    """The process that works on it, as `this_process` names it."""
    silent_s: float
    """Seconds since the sign by the database's clock; negative where that was set back."""

    @property
    def is_dead(self) -> bool:
        """Whether the process has died, or has been silent for so long that it counts as dead."""
        return self.silent_s > LAPSE_S or is_known_dead(self.holder)


class RunSigns(Database):
    """Signs of life that last as long as the work on a run."""

    @contextmanager
    def shown_alive(self, run_id: str) -> Iterator[None]:
        """Show other processes that this one works on a run, until the block ends or this process does.

        Args:
            run_id: of the Dagster run; another process's sign of it is replaced.

        Raises:
            RegistryError: the database is not available at the beginning. Later it may be away for a while.
        """
        with self._change() as connection:
            connection.execute(table.delete().where(table.c.run_id == run_id))
            connection.execute(
                table.insert().values(run_id=run_id, holder=this_process(), seen=sa.func.now())
            )
        is_own = (table.c.run_id == run_id, table.c.holder == this_process())
        try:
            with beating(lambda: self._give_sign(is_own), BEAT_S):
                yield
        finally:
            # A sign that can't be removed now is that of a run that has ended, at which nobody looks.
            with suppress(RegistryError), self._change() as connection:
                connection.execute(table.delete().where(*is_own))

    def _give_sign(self, is_own: Iterable[sa.ColumnElement[bool]]) -> None:
        with suppress(RegistryError), self._change() as connection:
            connection.execute(table.update().where(*is_own).values(seen=sa.func.now()))

    def run_sign(self, run_id: str) -> RunSign | None:
        """Return the last sign of life of a run; None if no process works on it or has died doing so."""
        now = sa.type_coerce(sa.func.now(), Instant)
        query = sa.select(table.c.holder, table.c.seen, now).where(table.c.run_id == run_id)
        with self._read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else RunSign(row[0], (row[2] - row[1]).total_seconds())

    def run_holders(self) -> dict[str, str]:
        """Return the processes that work on runs, by the id of the run."""
        with self._read() as connection:
            rows = connection.execute(sa.select(table.c.run_id, table.c.holder)).all()
        return {row.run_id: row.holder for row in rows}

    def forget_run(self, run_id: str) -> None:
        """Remove the sign of a run, if there is one."""
        with self._change() as connection:
            connection.execute(table.delete().where(table.c.run_id == run_id))
