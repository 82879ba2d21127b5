"""What a check of an installation found."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed"]
LARGEST_CLOCK_DIFFERENCE_S = 5.0
"""Between this machine and where files are kept. Leases and heartbeats allow for tens of seconds."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    """What was checked, such as `disk space`."""
    status: Status
    detail: str
    """What was found, in one sentence."""
    advice: str = ""
    """What to do, if anything."""


def compare_clocks(files: str, whose: str, difference_s: float) -> Finding:
    """Return whether the times of files agree with this machine's clock.

    Args:
        files: whose times were read, as named in the message.
        whose: clock it is.
        difference_s: between the two clocks, in seconds.
    """
    apart = abs(difference_s)
    if apart > LARGEST_CLOCK_DIFFERENCE_S:
        return Finding(
            "clock",
            "failed",
            f"The times of {files} differ by {apart:.0f} s from this machine's clock.",
            "Synchronise both clocks (NTP): leases of other machines would end too early or too late.",
        )
    return Finding("clock", "ok", f"The {whose}'s clock is {apart:.1f} s from this machine's.")
