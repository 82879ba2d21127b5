"""What is fetched and decoded at a time stays within the limit, however many windows are read."""

import asyncio
import dataclasses
import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.cog import block_reader
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.byte_ranges import ByteSource, FetchedRange
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.header import HeaderBytes, RasterLayout, parse_header
from factory_pipeline.cog.memory_budget import ByteBudget
from factory_pipeline.cog.reader import ReadWindow, WindowRead
from factory_pipeline_tests.cog.factories import LEFT, TOP, UTM, random_values, write_raster

BLOCK, BLOCKS_ACROSS = 128, 10
MEGABYTE = 2**20


class Scales:
    """Weighs what is fetched and what is decoded for as long as it is in memory."""

    def __init__(self) -> None:
        self.peak = self._weight = 0
        self._lock = threading.RLock()

    def put(self, array: np.ndarray) -> np.ndarray:
        """Weigh an array until it is freed."""
        weakref.finalize(array, self._add, -array.nbytes)
        self._add(array.nbytes)
        return array

    def _add(self, size: int) -> None:
        with self._lock:
            self._weight += size
            self.peak = max(self.peak, self._weight)


@pytest.fixture
def scales(monkeypatch: pytest.MonkeyPatch) -> Scales:
    """The engine with all its blocks on the scales; fetches are slow enough to pile up."""
    scales = Scales()
    fetch = ByteSource.fetch

    async def weighed_fetch(self: ByteSource, href: str, *span: int, **exact: Any) -> FetchedRange:
        fetched = await fetch(self, href, *span, **exact)
        if exact:  # a header
            return fetched
        data = memoryview(scales.put(np.array(fetched.data)))
        await asyncio.sleep(0.05)
        return FetchedRange(data, fetched.file_size)

    def weighed(decode: Callable[[memoryview, int], Any] | None) -> Callable[[memoryview, int], Any]:
        assert decode
        return lambda data, asked: scales.put(decode(data, asked).copy())

    def parse(href: str, header: HeaderBytes) -> RasterLayout:
        layout = parse_header(href, header)
        return dataclasses.replace(
            layout, decode=weighed(layout.decode), decode_top=weighed(layout.decode_top)
        )

    monkeypatch.setattr(ByteSource, "fetch", weighed_fetch)
    monkeypatch.setattr(block_reader, "parse_header", parse)
    return scales


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> list[WindowRead]:
    """A window in every block of four rasters of about 3 MB."""
    folder = tmp_path_factory.mktemp("rasters")
    paths = []
    for seed in range(4):
        values = random_values((BLOCK * BLOCKS_ACROSS,) * 2, seed=seed, high=65535)
        paths.append(write_raster(folder / f"{seed}.tif", values, 10, blockxsize=BLOCK, blockysize=BLOCK))
    places = itertools.product(paths, range(BLOCKS_ACROSS), range(BLOCKS_ACROSS))
    return [
        WindowRead((path,), Grid(UTM, LEFT + 1280 * column, TOP - 1280 * row, 10, 10, 32, 32))
        for path, row, column in places
    ]


def test_blocks_in_memory_stay_within_the_limit(scales: Scales, reads: list[WindowRead]) -> None:
    without_limit = BlockReader().read(reads)
    piled_up, scales.peak = scales.peak, 0

    with_limit = BlockReader(bytes_in_flight=4 * MEGABYTE).read(reads)

    assert scales.peak <= 4 * MEGABYTE < 8 * MEGABYTE < piled_up
    for one, other in zip(without_limit, with_limit, strict=True):
        assert isinstance(one, ReadWindow)
        assert isinstance(other, ReadWindow)
        np.testing.assert_array_equal(one.values, other.values)


def test_request_that_is_larger_than_the_limit_is_made_alone(scales: Scales, reads: list[WindowRead]) -> None:
    answers = BlockReader(bytes_in_flight=1).read(reads)

    assert all(isinstance(answer, ReadWindow) for answer in answers)
    assert scales.peak <= MEGABYTE + 2 * BLOCK * BLOCK


@settings(max_examples=30, deadline=None)
@given(limit=st.integers(1, 20), sizes=st.lists(st.integers(1, 30), max_size=20))
def test_budget_is_kept_and_everyone_is_served(limit: int, sizes: list[int]) -> None:
    held: list[int] = []
    served = 0

    async def hold(budget: ByteBudget, size: int) -> None:
        nonlocal served
        async with budget.hold(size):
            held.append(size)
            assert sum(held) <= limit or held == [size]
            await asyncio.sleep(0)
            held.remove(size)
            served += 1

    async def work() -> None:
        budget = ByteBudget(limit)
        await asyncio.gather(*(hold(budget, size) for size in sizes))

    asyncio.run(work())

    assert served == len(sizes)
