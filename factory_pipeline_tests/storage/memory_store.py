"""Object stores in the memory of the test, which addresses such as `s3://bucket` lead to."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from factory_pipeline.storage.object_store import _recent_facts


@contextmanager
def memory_stores(scratch: Path) -> Iterator[None]:
    """Have each bucket be a store in memory, and a folder the place of the copies, in the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "factory_pipeline.storage.object_store.open_store", cache(lambda _address: MemoryStore())
        )
        patch.setenv("FACTORY_SCRATCH", str(scratch))
        _recent_facts.cache_clear()
        yield
