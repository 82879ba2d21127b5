"""How far the work of a run is: told in the run's log, and to whoever waits for the run in this process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

from factory_pipeline.datasets.progress_text import progress_text
from factory_pipeline.plain_text import count_noun

OnFraction = Callable[[float], object]
"""Is told how much of the work is done, 0 to 1."""

FIRST_LINE_S, LONGEST_PAUSE_S = 1.0, 10.0
"""When the log has its first line; pauses double from there up to the longest."""
PAUSE_S = 0.1
"""Between two calls of a listener."""
_listeners: dict[str, OnFraction] = {}


@contextmanager
def listening(run_id: str, listener: OnFraction) -> Iterator[None]:
    """Call a listener inside the block, in the thread of the run, with what is done of the run.

    Args:
        run_id: of the Dagster run, which is executed in this process.
        listener: called with the fraction, 0 to 1.
    """
    _listeners[run_id] = listener
    try:
        yield
    finally:
        del _listeners[run_id]


class RunProgress:
    """Counts the items of a step of a run."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._log = context.log
        self._listener = _listeners.get(context.run.run_id)
        self._reported_at = self._logged_at = time.monotonic()
        self._pause = FIRST_LINE_S

    def report_items(self, done: int, total: int) -> None:
        """Report the items that are written.

        Args:
            done: number so far.
            total: number of all.
        """
        self._report(done, total, f"{done:,} of {count_noun(total, 'item')} written")

    def report_export(self, done: int, total: int) -> None:
        """Report how far an export is; each item counts twice, as it is written and as it is read.

        Args:
            done: items written plus items read back, so far.
            total: twice the number of items.
        """
        items = total // 2
        read = f"{max(done - items, 0):,} read back"
        self._report(done, total, f"{min(done, items):,} of {count_noun(items, 'item')} written, {read}")

    def _report(self, done: int, total: int, said: str) -> None:
        now, fraction = time.monotonic(), done / max(total, 1)
        if self._listener is not None and (now - self._reported_at > PAUSE_S or done == total):
            self._reported_at = now
            self._listener(fraction)
        if now - self._logged_at > self._pause:
            self._logged_at, self._pause = now, min(2 * self._pause, LONGEST_PAUSE_S)
            self._log.info(progress_text(fraction, said))
