"""Folders that all workers of one test run share."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that the workers of one run share; the first that asks for it makes its content."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, made = base / name, base / f"{name}.made"
    try:
        folder.mkdir()
    except FileExistsError:
        _wait_for(made)
    else:
        make(folder)
        made.touch()
    return folder


def _wait_for(path: Path, seconds: float = 600.0) -> None:
    """Wait until another worker has made what it makes."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            pytest.fail(f"{path} was not made by another worker")
        time.sleep(0.2)
