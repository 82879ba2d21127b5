"""The progress of a run as a line of its log: written by the run, read by the process that waits for it."""

import re

_PERCENT = re.compile(r"\b(\d{1,3})% done: ")


def progress_text(fraction: float, what: str) -> str:
    """Return a line such as `40% done: 2 of 5 items written`, with a full stop.

    Args:
        fraction: 0 to 1.
        what: what has been done, such as `2 of 5 items written`.
    """
    return f"{int(100 * fraction)}% done: {what}."


def parse_fraction(message: str) -> float | None:
    """Return the fraction (0 to 1) that a line of a run's log reports; None if it reports none."""
    found = _PERCENT.search(message)
    return int(found[1]) / 100 if found else None
