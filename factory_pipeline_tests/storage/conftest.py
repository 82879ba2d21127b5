from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_pipeline.storage.stored_path import to_path
from factory_pipeline_tests.storage.memory_store import memory_stores


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Path]:
    """The path of an empty bucket in memory; the copies are in tmp_path/scratch."""
    with memory_stores(tmp_path / "scratch"):
        yield to_path("s3://bucket")
