"""Warnings of libraries that are no news here, silenced while they may come and no longer.

Filters of warnings belong to the process, and that may be somebody else's, who wants to see or refuse the
same warnings elsewhere. `warnings.catch_warnings` would do where one thread runs: of two that overlap, the
later one puts the filters of the earlier one back for good.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class QuietWarnings:
    """Silences one category of warnings within blocks, whatever filters the process has before or after."""

    def __init__(self, category: type[Warning]) -> None:
        """Silence nothing yet.

        Args:
            category: of the warnings.
        """
        # Told from one of the caller's by what it is, not by what it says.
        self._filter = ("ignore", None, category, None, 0)
        self._lock = threading.Lock()
        self._blocks = 0
        self._lists: list[list[tuple[object, ...]]] = []

    @contextmanager
    def during(self) -> Iterator[None]:
        """Silence them in the block; blocks of several threads may overlap."""
        with self._lock:
            self._blocks += 1
            found = _filters()
            if found[:1] != [self._filter] or found[0] is not self._filter:
                # Not by `filterwarnings`, which would have all warnings shown again that were shown once.
                found.insert(0, self._filter)
                self._lists.append(found)
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if not self._blocks:
                    self._remove()

    def _remove(self) -> None:
        # Somebody may have begun or ended a block of `catch_warnings` meanwhile, which makes another list.
        for filters in [*self._lists, _filters()]:
            filters[:] = [each for each in filters if each is not self._filter]
        self._lists.clear()


def _filters() -> list[tuple[object, ...]]:
    return warnings.filters  # type: ignore[return-value]
