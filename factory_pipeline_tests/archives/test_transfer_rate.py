"""Limits on slow hosts."""

import io

import pytest

from factory_pipeline.archives import transfer_rate
from factory_pipeline.archives.transfer_rate import Pace, PacedBytes
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError

POLICY = IntakePolicy(timeout_s=10, lowest_rate=100, deadline_s=1000)


class Clock:
    """A clock that each look moves on."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


def test_a_rate_is_decided_after_the_timeout():
    pace = Pace("https://host/a.zip", POLICY)
    assert pace.check_rate(1, 9.9) is False
    assert pace.check_rate(1000, 10.0) is True
    with pytest.raises(OnboardingError, match="sent 999 bytes in 10 seconds") as error:
        pace.check_rate(999, 10.0)
    assert error.value.code == "HOST_TOO_SLOW"


def test_a_source_has_a_deadline(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transfer_rate, "time", Clock(600))
    pace = Pace("https://host/a.zip", POLICY)
    pace.check_deadline()
    with pytest.raises(OnboardingError, match="longer than 1000 seconds"):
        pace.check_deadline()


def test_bytes_that_come_slowly_end_the_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transfer_rate, "time", Clock(6))
    slow = PacedBytes(io.BytesIO(b"ab" * 500), Pace("https://host/a.zip", POLICY))
    assert slow.readinto(bytearray(2)) == 2
    with pytest.raises(OnboardingError, match="sent 4 bytes"):
        slow.readinto(bytearray(2))
