from collections import Counter
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.builds.gedi.granules import calendar_day
from factory_pipeline.builds.gedi.random_keys import random_keys
from factory_pipeline.builds.gedi.sampling import sample_footprints
from factory_pipeline_tests.builds.gedi.factories import footprints, seconds

DAYS = st.lists(st.integers(1, 30), min_size=1, max_size=12)
"""How many footprints each of some days has."""


def candidates(per_day: list[int], first: date = date(2020, 12, 25)) -> pl.DataFrame:
    """Footprints of consecutive days."""
    times = [
        seconds(first + timedelta(days=day)) + shot
        for day, shots in enumerate(per_day)
        for shot in range(shots)
    ]
    return footprints(len(times), delta_time=times)


def count_by_day(table: pl.DataFrame) -> Counter[date]:
    return Counter(table.select(calendar_day(pl.col("delta_time"))).to_series().to_list())


@settings(max_examples=60, deadline=None)
@given(DAYS, st.integers(1, 400), st.integers(), st.data())
def test_the_draw_is_exact_even_and_keeps_what_it_must(
    per_day: list[int], size: int, seed: int, data: st.DataObject
) -> None:
    table = candidates(per_day)
    kept = table.filter(
        pl.Series(data.draw(st.lists(st.booleans(), min_size=table.height, max_size=table.height)))
    )
    drawn = sample_footprints(table, size, seed, kept["shot_number"])

    assert drawn.height == min(size, table.height)
    assert drawn["shot_number"].is_unique().all()
    assert drawn.join(table, on=table.columns, how="semi").height == drawn.height
    overlap = drawn.join(kept, on="shot_number", how="semi").height
    assert overlap == min(kept.height, drawn.height)
    if kept.height <= size:
        assert_max_min_fair(count_by_day(drawn), count_by_day(table), count_by_day(kept))


def assert_max_min_fair(drawn: Counter[date], available: Counter[date], kept: Counter[date]) -> None:
    """A day has less than another only if it is used up, or if the other holds just what it must keep."""
    for poor in available:
        for rich in available:
            if drawn[rich] > drawn[poor] + 1:
                assert drawn[poor] == available[poor] or drawn[rich] == kept[rich]


@settings(max_examples=20, deadline=None)
@given(DAYS, st.integers(1, 100), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(per_day: list[int], size: int, random: Any) -> None:
    table = candidates(per_day)
    order = list(range(table.height))
    random.shuffle(order)
    assert sample_footprints(table[order].lazy(), size, 42).equals(sample_footprints(table, size, 42))


def test_a_poor_days_share_goes_to_the_others() -> None:
    assert sorted(count_by_day(sample_footprints(candidates([100, 2, 100, 100]), 32, 42)).values()) == [
        2,
        10,
        10,
        10,
    ]


def test_day_366_counts() -> None:
    drawn = count_by_day(sample_footprints(candidates([50] * 7), 70, 42))
    assert drawn[date(2020, 12, 31)] == 10


def test_seeds_differ() -> None:
    table = candidates([50] * 4)
    draws = [sample_footprints(table, 40, seed)["shot_number"].to_list() for seed in (1, 1, 2, -1)]
    assert draws[0] == draws[1]
    assert len({tuple(shots) for shots in draws}) == 3


@pytest.mark.parametrize("size", [None, 7, 100])
def test_all_are_taken_where_there_are_not_more(size: int | None) -> None:
    table = candidates([3, 4])
    assert sample_footprints(table, size, 42).equals(table.sort("delta_time"))
    assert sample_footprints(footprints(0), size, 42).equals(footprints(0))


def test_the_sample_only_grows_when_granules_arrive() -> None:
    first = sample_footprints(candidates([20, 30]), 30, 42)
    later = sample_footprints(candidates([20, 30, 40]), 60, 42, keep=first["shot_number"])
    assert first.join(later, on="shot_number", how="anti").height == 0


@settings(max_examples=30)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, min_size=2), st.integers())
def test_random_keys_are_as_distinct_as_the_numbers(numbers: list[int], seed: int) -> None:
    keys = random_keys(np.array(numbers, np.int64), seed)
    assert len(np.unique(keys)) == len(numbers)


@pytest.mark.parametrize(("seed", "first_output"), [(0, 0xE220A8397B1DCDAF), (1234567, 6457827717110365317)])
def test_random_keys_are_those_of_splitmix64(seed: int, first_output: int) -> None:
    """The generator's first outputs are published for these seeds; a number equal to it meets state 0."""
    number = np.array([first_output], np.uint64).view(np.int64)
    assert random_keys(number, seed).tolist() == [0xE220A8397B1DCDAF]
