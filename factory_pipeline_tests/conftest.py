"""What tests of several packages share."""

import os
import time
from pathlib import Path

import pytest

from factory_pipeline.synthetic.archive import make_archive
from factory_pipeline_tests.synthetic.small import SMALL_PLAN


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample archive, made once per test run; tests must not write into it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # shared by the workers of one run
    root = base / "small-archive"
    try:
        root.mkdir()
    except FileExistsError:
        _wait_for(root / "stac" / "catalog.json")
    else:
        make_archive(root, plan=SMALL_PLAN, workers=1)
    return root


def _wait_for(path: Path, seconds: float = 180.0) -> None:
    """Another worker is making the archive; the catalog is its last file."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            pytest.fail(f"{path} was not made by another worker")
        time.sleep(0.2)
