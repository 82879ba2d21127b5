"""Fetched bytes are kept up to a limit, and found by later reads of the same windows."""

from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.byte_ranges import ByteSource, FetchedRange
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.range_cache import RangeCache
from factory_pipeline.cog.reader import WindowRead
from factory_pipeline_tests.cog.factories import LEFT, TOP, UTM, random_values, write_raster
from factory_pipeline_tests.cog.oracle import assert_same


def test_what_was_not_used_for_longest_goes_first() -> None:
    cache = RangeCache(8)
    for number in range(2):
        with cache.keep("a", number, memoryview(b"%d..." % number)):
            pass
    assert bytes(cache.get("a", 0, 4) or b"") == b"0..."
    cache.keep("a", 2, memoryview(b"2..."))
    kept = [cache.get("a", number, 4) for number in range(3)]
    assert [None if data is None else bytes(data) for data in kept] == [b"0...", None, b"2..."]
    assert cache.get("a", 1, 3) is None
    assert cache.get("b", 0, 4) is None


def test_a_range_that_is_larger_than_the_limit_removes_no_other() -> None:
    cache = RangeCache(4)
    cache.keep("a", 0, memoryview(b"0..."))
    assert bytes(cache.keep("a", 1, memoryview(b"1...."))) == b"1...."
    assert cache.get("a", 1, 5) is None
    assert cache.get("a", 0, 4) is not None


def test_a_longer_range_is_taken_for_its_first_bytes() -> None:
    cache = RangeCache(8)
    cache.keep("a", 0, memoryview(b"01"))
    assert cache.get("a", 0, 3) is None
    cache.keep("a", 0, memoryview(b"012345"))
    assert bytes(cache.get("a", 0, 3) or b"") == b"012"
    cache.keep("a", 9, memoryview(b"90"))
    assert [cache.get("a", start, length) is None for start, length in ((0, 6), (9, 2))] == [False, False]


def test_a_range_that_is_fetched_twice_counts_once() -> None:
    cache = RangeCache(8)
    for _ in range(3):
        cache.keep("a", 0, memoryview(b"0..."))
    cache.keep("a", 1, memoryview(b"1..."))
    assert cache.get("a", 0, 4) is not None


@pytest.mark.parametrize(("kept", "second_time"), [(0, 4), (2**20, 0)])
def test_windows_that_are_read_again_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, second_time: int
) -> None:
    path = write_raster(
        tmp_path / "a.tif", random_values((128, 128), "uint16"), 10, blockxsize=64, blockysize=64
    )
    reads = [
        WindowRead((path,), Grid(UTM, LEFT + x, TOP - y, 10, 10, 32, 32)) for x in (0, 800) for y in (0, 800)
    ]
    fetched: list[int] = []
    fetch = ByteSource.fetch

    async def counted(self: ByteSource, href: str, start: int, length: int, **options: Any) -> FetchedRange:
        if not options:  # a header
            fetched.append(start)
        return await fetch(self, href, start, length, **options)

    monkeypatch.setattr(ByteSource, "fetch", counted)
    monkeypatch.setattr("factory_pipeline.cog.read_plan._LARGEST_RANGE", 0)
    reader = BlockReader(bytes_kept=kept)
    for requests in (4, second_time):
        fetched.clear()
        for read, answer in zip(reads, reader.read(reads), strict=True):
            assert_same(answer, read)
        assert len(fetched) == requests
