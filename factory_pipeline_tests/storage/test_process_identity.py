"""A process is known by its start, and the machine by its boot."""

import os
from pathlib import Path

import pytest

from factory_pipeline.storage import process_identity
from factory_pipeline.storage.process_identity import machine_identity, start_of_process


def test_a_running_process_has_a_start_and_one_that_is_not_there_none() -> None:
    assert int(start_of_process(os.getpid()) or "") >= int(start_of_process(1) or "")
    above_all = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1
    assert start_of_process(above_all) is None


def test_the_machine_is_the_same_until_its_next_boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    boot, namespace = (machine_identity() or "").split("-")
    assert len(boot) == 32
    (tmp_path / "boot_id").write_text("0-1\n")
    monkeypatch.setattr(process_identity, "_BOOT", tmp_path / "boot_id")
    assert machine_identity() == f"01-{namespace}"
    monkeypatch.setattr(process_identity, "_BOOT", tmp_path / "missing")
    assert machine_identity() is None
