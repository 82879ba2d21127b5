"""What this process may use, not what the machine has."""

import os
from pathlib import Path

import pytest

from factory_pipeline import processors


@pytest.mark.parametrize(
    ("limit", "counted"),
    [(None, 6), ("max 100000\n", 6), ("150000 100000\n", 2), ("50000 100000\n", 1), ("900000 100000\n", 6)],
)
def test_a_container_has_its_share(
    limit: str | None, counted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(processors, "QUOTA", tmp_path / "cpu.max")
    if limit is not None:
        (tmp_path / "cpu.max").write_text(limit)
    assert processors.processor_count() == counted


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs two cores, one of which is left")
def test_a_process_that_is_bound_to_one_processor_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "QUOTA", Path("/nonexistent"))
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert processors.processor_count() == 1
    finally:
        os.sched_setaffinity(0, before)
