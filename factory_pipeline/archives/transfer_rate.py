"""Limits on slow hosts: a lowest rate while data is sent, and a longest time for all reads of a source.

With a limit on silence alone, a host that sends a byte now and then would block a reader for days.
"""

import io
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Pace:
    """The limits of one source; shared by all of its requests."""

    def __init__(self, url: str, policy: IntakePolicy) -> None:
        """Start the time; `url` must have no credentials."""
        self._url = url
        self._policy = policy
        self._until = time.monotonic() + policy.deadline_s

    def check_deadline(self) -> None:
        """Raise an error if the source has taken longer than allowed.

        Raises:
            OnboardingError: HOST_TOO_SLOW.
        """
        if time.monotonic() > self._until:
            raise OnboardingError(
                "HOST_TOO_SLOW",
                f"{self._url} took longer than {self._policy.deadline_s:g} seconds (deadline_s in"
                " intake.yaml).",
            )

    def check_rate(self, received: int, seconds: float) -> bool:
        """Raise an error if a host sent too little; return True once the time was long enough to decide.

        Args:
            received: bytes since the measurement began.
            seconds: that passed since then.

        Raises:
            OnboardingError: HOST_TOO_SLOW.
        """
        self.check_deadline()
        if seconds < self._policy.timeout_s:
            return False
        if received < self._policy.lowest_rate * seconds:
            raise OnboardingError(
                "HOST_TOO_SLOW",
                f"{self._url} sent {received} bytes in {seconds:.0f} seconds; the minimum is"
                f" {self._policy.lowest_rate:g} a second (lowest_rate in intake.yaml).",
            )
        return True


class PacedBytes(io.RawIOBase):
    """The bytes of one connection; the time spent waiting for them counts towards the limits."""

    def __init__(self, raw: Any, pace: Pace) -> None:
        """`raw` is the connection's own unbuffered file."""
        self._raw = raw
        self._pace = pace
        self._received = 0
        self._waited = 0.0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "Buffer", /) -> int | None:
        """Fill a part of the buffer; the reader's own time between two reads does not count."""
        began = time.monotonic()
        length = self._raw.readinto(buffer)
        self._waited += time.monotonic() - began
        self._received += length or 0
        # The end of the file is not slowness.
        if length and self._pace.check_rate(self._received, self._waited):
            self._received, self._waited = 0, 0.0
        return length

    def close(self) -> None:
        """Close the connection's file."""
        self._raw.close()
        super().close()


def pace_response(pace: Pace) -> type[HTTPResponse]:
    """Return a class of `http.client` responses whose head and body are read within the limits."""

    class PacedResponse(HTTPResponse):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.fp = io.BufferedReader(PacedBytes(self.fp.detach(), pace))

    return PacedResponse
