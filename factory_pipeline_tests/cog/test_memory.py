"""What is fetched and decoded at a time stays within the limit, however many windows are read."""

import asyncio
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.cog import source_windows
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.memory_budget import ByteBudget
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import ReadWindow, WindowRead, WindowReader
from factory_pipeline_tests.cog.scales import BLOCK, MEGABYTE, Scales, reads_of_every_block, weigh
from factory_pipeline_tests.examples import up_to


@pytest.fixture
def scales(monkeypatch: pytest.MonkeyPatch) -> Scales:
    """The engine with all its blocks on the scales."""
    return weigh(monkeypatch)


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> list[WindowRead]:
    """A window in every block of four rasters of about 3 MB."""
    return reads_of_every_block(tmp_path_factory.mktemp("rasters"))


@pytest.mark.integration
def test_blocks_in_memory_stay_within_the_limit(scales: Scales, reads: list[WindowRead]) -> None:
    without_limit = BlockReader().read(reads)
    piled_up, scales.peak = scales.peak, 0

    with_limit = BlockReader(bytes_in_flight=4 * MEGABYTE, bytes_kept=MEGABYTE).read(reads)

    assert scales.peak <= 4 * MEGABYTE < 8 * MEGABYTE < piled_up
    for one, other in zip(without_limit, with_limit, strict=True):
        assert isinstance(one, ReadWindow)
        assert isinstance(other, ReadWindow)
        np.testing.assert_array_equal(one.values, other.values)


def peak_of(reads: list[WindowRead], reader: WindowReader) -> int:
    """Return the bytes in memory at most while windows are read of which none is kept."""
    taken: list[int] = []
    reader.read_each(reads, lambda *_: None)  # its headers and imports
    tracemalloc.start()
    try:
        reader.read_each(reads, lambda position, _: taken.append(position))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sorted(taken) == list(range(len(reads)))
    return peak


@pytest.mark.parametrize(
    "reader", [BlockReader(bytes_in_flight=MEGABYTE // 8), RasterioReader(threads=2)], ids=["blocks", "GDAL"]
)
def test_memory_is_flat_in_windows_that_are_handed_over(
    monkeypatch: pytest.MonkeyPatch, reads: list[WindowRead], reader: WindowReader
) -> None:
    monkeypatch.setattr(source_windows, "_MOST_PIXELS", 5 * BLOCK**2)
    whole_blocks = [replace(read, grid=replace(read.grid, width=BLOCK, height=BLOCK)) for read in reads]

    tenth, whole = peak_of(whole_blocks[::10], reader), peak_of(whole_blocks, reader)

    assert whole - tenth < len(reads) * BLOCK**2 * 2 / 3  # a third of the pixels of all of them


def test_request_that_is_larger_than_the_limit_is_made_alone(scales: Scales, reads: list[WindowRead]) -> None:
    answers = BlockReader(bytes_in_flight=1).read(reads)

    assert all(isinstance(answer, ReadWindow) for answer in answers)
    assert scales.peak <= MEGABYTE + 2 * BLOCK * BLOCK


@settings(max_examples=up_to(30), deadline=None)
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
