"""The bytes that are in memory at a time."""

import asyncio

from factory_pipeline.cog.memory_budget import ByteBudget


async def peak_of(limit: int, sizes: list[int]) -> tuple[int, int]:
    """Hold all sizes at once; return the most bytes held together, and how many tasks ended."""
    budget, held, peak, ended = ByteBudget(limit), 0, 0, 0

    async def work(size: int) -> None:
        nonlocal held, peak, ended
        async with budget.hold(size):
            held += size
            peak = max(peak, held)
            await asyncio.sleep(0)
            held -= size
        ended += 1

    await asyncio.gather(*map(work, sizes))
    return peak, ended


def test_no_more_than_the_limit_is_held_and_all_end():
    assert asyncio.run(peak_of(10, [4, 4, 4])) == (8, 3)


def test_what_is_larger_than_the_limit_runs_alone():
    assert asyncio.run(peak_of(10, [3, 25, 3])) == (25, 3)
