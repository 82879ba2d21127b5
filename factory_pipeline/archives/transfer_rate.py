"""How slow a host may be: a lowest rate while it sends, and a longest time for all that is read of a source.

A limit on silence alone lets a host that sends a byte now and then hold a reader for days.
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
        """The time runs from now on; `url` is as it may be shown."""
        self._url = url
        self._policy = policy
        self._until = time.monotonic() + policy.deadline_s

    def check_deadline(self) -> None:
        """Raise once the source has taken longer than it may.

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
        """Raise if a host sent too little in a time long enough to tell; True once it was long enough.

        Raises:
            OnboardingError: HOST_TOO_SLOW.
        """
        self.check_deadline()
        if seconds < self._policy.timeout_s:
            return False
        if received < self._policy.lowest_rate * seconds:
            raise OnboardingError(
                "HOST_TOO_SLOW",
                f"{self._url} sent {received} bytes in {seconds:.0f} seconds; at least"
                f" {self._policy.lowest_rate:g} a second are expected (lowest_rate in intake.yaml).",
            )
        return True


class PacedBytes(io.RawIOBase):
    """The bytes of one connection; the time that is waited for them is held against the pace."""

    def __init__(self, raw: Any, pace: Pace) -> None:
        """`raw` is the connection's own unbuffered file."""
        self._raw = raw
        self._pace = pace
        self._received = 0
        self._waited = 0.0

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: "Buffer", /) -> int | None:
        """Fill a part of the buffer; time that the reader itself takes between two reads does not count."""
        began = time.monotonic()
        length = self._raw.readinto(buffer)
        self._waited += time.monotonic() - began
        self._received += length or 0
        # The end of the file is no slowness.
        if length and self._pace.check_rate(self._received, self._waited):
            self._received, self._waited = 0, 0.0
        return length

    def close(self) -> None:
        """Close the connection's file."""
        self._raw.close()
        super().close()


def paced_response(pace: Pace) -> type[HTTPResponse]:
    """A response of `http.client`, head and body of which are read at a pace."""

    class PacedResponse(HTTPResponse):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.fp = io.BufferedReader(PacedBytes(self.fp.detach(), pace))

    return PacedResponse
