"""Progress on a terminal as a line that is updated; elsewhere (a log, a pipe) as a line from time to time."""

import re
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from factory_pipeline.callers_random import import_drawing_modules
from factory_pipeline.plain_text import count_noun

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from factory_pipeline.builds.progress import BuildProgress

SECONDS_BETWEEN_LINES = 10.0
LEAST_FOR_ESTIMATE = 0.02
"""Fraction of the footprints that must be done before the remaining time is shown."""
_COUNTS = re.compile(r"[\d.,]+ of [\d.,]+")


class ProgressLine:
    """Shows a step, a fraction and a remark; ends with the block that it is opened in."""

    def __init__(self, console: "Console | None" = None) -> None:
        """Make a line on standard error, or on a console.

        Standard error is what the process has there: none at all, a closed file, or an object of its own that
        can only write. Progress that can't be shown ends nothing.
        """
        self._bar = _make_bar(console) if console is not None or _is_terminal() else None
        if self._bar is not None:
            self._task = self._bar.add_task("", total=1.0, remark="", visible=False)
        self._step = ""
        self._opened_at = self._printed_at = time.monotonic()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, step: str, fraction: float | None, remark: str = "") -> None:
        """Show that `step` is done to this fraction (0 to 1).

        Args:
            step: what is being done, such as `Writing COCO`.
            fraction: 0 to 1; None where it is not known, which a bar that moves to and fro shows.
            remark: shown behind the fraction; empty for none.
        """
        if self._bar is not None:
            # `update` can't take a total away.
            self._bar.tasks[0].total = None if fraction is None else 1.0
            self._bar.update(
                self._task, description=step, completed=fraction or 0.0, remark=remark, visible=True
            )
            return
        now = time.monotonic()
        # A step is the same one where only its counts have moved, as in `Downloading 0.3 of 1.8 MB`.
        words = _COUNTS.sub("", step)
        if words == self._step and now - self._printed_at < SECONDS_BETWEEN_LINES:
            return
        self._step, self._printed_at = words, now
        # A line says how long it took so far: where no count has moved, that it goes on.
        share = "" if fraction is None else f"{fraction:.0%} "
        said = [f"{step}: {share}after {_duration(now - self._opened_at)}", remark]
        _print(", ".join(filter(None, said)))


class BuildLine(ProgressLine):
    """The progress of a build: counts, and the time left as what is done promises it."""

    def __init__(self, console: "Console | None" = None) -> None:
        """Make a line on standard error, or on a console."""
        super().__init__(console)
        self._began_at: float | None = None
        self._began_with = 0.0
        self._first: float | None = None

    def show_build(self, progress: "BuildProgress") -> None:
        """Show how far the build is."""
        if not progress.total:
            self.show(
                progress.stage,
                progress.fraction,
                f"{count_noun(progress.granules, 'granule')} read" * bool(progress.granules),
            )
            return
        fraction = progress.fraction or 0.0
        begun = f" and {progress.batches_begun} begun" if progress.batches_begun else ""
        remark = (
            f"{progress.done:,} of {progress.total:,} {progress.unit}, "
            f"{progress.batches_done} of"
            f" {count_noun(progress.batches, 'batch', 'batches')}{begun}{self._time_left(progress, fraction)}"
        )
        self.show(progress.stage, fraction, remark)

    def _time_left(self, progress: "BuildProgress", fraction: float) -> str:
        now = time.monotonic()
        if self._first is None:
            self._first = fraction
        if self._began_at is None:
            # Before the first chips processes start and a catalog is searched, which happens once.
            if fraction > self._first:
                self._began_at, self._began_with = now, fraction
            return ""
        done = fraction - self._began_with
        if done < LEAST_FOR_ESTIMATE or progress.done == progress.total:
            return ""
        seconds = (now - self._began_at) / done * (1 - fraction)
        return f", about {_duration(seconds)} left"


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


def _print(line: str) -> None:
    if sys.stderr is None:
        return
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    # An object that can't flush, a closed file, a terminal that is gone.
    with suppress(AttributeError, ValueError, OSError):
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr, flush=True)


def _make_bar(console: "Console | None") -> "Progress":
    import_drawing_modules()
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    return Progress(
        # One line whatever the width of the terminal: a line that wraps leaves its upper half behind at
        # every turn, and bars pile up. What has no room is cut.
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=16, table_column=Column(no_wrap=True, min_width=8)),
        TaskProgressColumn(table_column=Column(no_wrap=True, min_width=4)),
        TextColumn("{task.fields[remark]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        console=console or Console(stderr=True),
        transient=True,
        expand=True,
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
