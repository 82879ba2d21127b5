"""How far a run is, as a line of its log says it: written where the run is, read where somebody waits."""

import re

_PERCENT = re.compile(r"\b(\d{1,3})% done: ")


def progress_text(fraction: float, said: str) -> str:
    """Such as `40% done: 2 of 5 items written.`"""
    return f"{int(100 * fraction)}% done: {said}."


def fraction_said(message: str) -> float | None:
    """How much is done by a line of a run's log; None where the line is about something else."""
    found = _PERCENT.search(message)
    return int(found[1]) / 100 if found else None
