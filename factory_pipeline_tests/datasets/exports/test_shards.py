"""Shards of even size."""

from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.datasets.exports import shards


@given(count=st.integers(1, 5000), sample_bytes=st.integers(1, 1 << 28))
def test_shards_are_even_and_hold_all(count: int, sample_bytes: int) -> None:
    sizes = shards.divide(count, sample_bytes)
    assert sum(sizes) == count
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) >= min(count, shards.SHARDS_FOR_ALL)
    assert max(sizes) == 1 or max(sizes) * sample_bytes <= shards.SHARD_BYTES + sample_bytes
