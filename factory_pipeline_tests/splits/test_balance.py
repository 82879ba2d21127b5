"""Shares of sizes and classes: exact where items are single, as near as can be where they are grouped."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.splits.apportion import largest_remainder
from factory_pipeline.splits.balance import Classes, assign_groups, balance_of
from factory_pipeline.splits.names import SPLITS
from factory_pipeline_tests.examples import up_to

SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}


def draw(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(count) / count


def labels(values: list[object]) -> Classes:
    return Classes.of(pl.DataFrame({"label": values}))


cases = st.lists(st.tuples(st.integers(0, 20), st.sampled_from("abc")), min_size=1, max_size=80)


@given(case=cases, seed=st.integers(0, 99))
@settings(max_examples=up_to(20), deadline=None)
def test_groups_stay_whole_and_the_order_of_items_does_not_matter(case: list, seed: int) -> None:
    group = np.array([number for number, _ in case])
    values = [value for _, value in case]
    turn = draw(len(case), seed)
    split = assign_groups(group, turn, SHARES, None, labels(values))
    assert all(len(set(split.filter(pl.Series(group == number)))) == 1 for number in set(group.tolist()))
    order = np.random.default_rng(seed).permutation(len(case))
    again = assign_groups(group[order], turn[order], SHARES, None, labels([values[at] for at in order]))
    assert again.to_list() == split[order.tolist()].to_list()


@given(case=cases, seed=st.integers(0, 99))
@settings(max_examples=up_to(25), deadline=None)
def test_every_class_is_in_every_split_or_is_named_as_missing(case: list, seed: int) -> None:
    group = np.array([number for number, _ in case])
    values = [value for _, value in case]
    classes = labels(values)
    split = assign_groups(group, draw(len(case), seed), SHARES, None, classes)
    there = {(value, side) for value, side in zip(values, split, strict=True)}
    missing = {
        (each.value, side)
        for each in balance_of(split, group, SHARES, classes).missing
        for side in each.splits
    }
    assert missing == {(value, side) for value in set(values) for side in SPLITS} - there


@given(counts=st.tuples(*[st.integers(10, 60)] * 3), seed=st.integers(0, 99))
@settings(max_examples=up_to(20), deadline=None)
def test_single_items_keep_every_class_near_its_share(counts: tuple[int, int, int], seed: int) -> None:
    values = [value for value, count in zip("abc", counts, strict=True) for _ in range(count)]
    split = assign_groups(np.arange(len(values)), draw(len(values), seed), SHARES, None, labels(values))
    found = Counter(zip(values, split, strict=True))
    assert Counter(split) == Counter(largest_remainder(len(values), SHARES))
    for value, count in zip("abc", counts, strict=True):
        for side, share in SHARES.items():
            assert abs(found[value, side] - count * share / 100) < 2
            assert found[value, side] >= 1


@pytest.mark.integration
def test_one_split_takes_every_item_that_is_not_placed_already() -> None:
    group = np.array([0, 0, 1, 2])
    one = {"train": 0.0, "test": 100.0}
    for kept in None, pl.Series([None] * 4, dtype=pl.String):
        assert assign_groups(group, draw(4), one, kept).to_list() == ["test"] * 4
    kept = pl.Series(["train", None, None, None])
    assert assign_groups(group, draw(4), one, kept).to_list() == ["train", "train", "test", "test"]


def test_a_rare_class_of_three_places_is_in_every_split() -> None:
    # 300 images at 30 places; a rare class at three of them, one of which is large.
    group = np.array([number % 30 for number in range(300)])
    values = [["common", "rare"] if number % 30 in (3, 7, 11) else ["common"] for number in range(300)]
    for seed in range(20):
        classes = labels(values)
        split = assign_groups(group, draw(300, seed), SHARES, None, classes)
        balance = balance_of(split, group, SHARES, classes)
        assert not balance.missing
        # A third of a class in each split is 26.7 points off 60 %.
        assert balance.largest_deviation < 0.27


def test_a_class_of_two_places_is_missing_in_one_split_and_its_places_are_counted() -> None:
    group = np.repeat(np.arange(10), 5)
    classes = labels(["rare" if number in (2, 5) else "common" for number in group])
    balance = balance_of(assign_groups(group, draw(50), SHARES, None, classes), group, SHARES, classes)
    (missing,) = balance.missing
    assert (missing.name, missing.value, missing.places, len(missing.splits)) == ("label", "rare", 2, 1)


@given(
    sizes=st.lists(st.integers(1, 12), min_size=3, max_size=60),
    seed=st.integers(0, 99),
    grown=st.lists(st.integers(1, 12), max_size=30),
)
@settings(max_examples=up_to(20), deadline=None)
def test_what_is_placed_stays_when_groups_are_added(sizes: list[int], seed: int, grown: list[int]) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes)
    before = assign_groups(group, draw(len(group), seed), SHARES)
    more = np.repeat(np.arange(len(sizes) + len(grown)), sizes + grown)
    kept = before.extend_constant(None, len(more) - len(group))
    after = assign_groups(more, draw(len(more), seed + 1), SHARES, kept)
    assert after[: len(group)].to_list() == before[: len(group)].to_list()


@given(sizes=st.lists(st.integers(1, 30), min_size=10, max_size=60), seed=st.integers(0, 99))
@settings(max_examples=up_to(20), deadline=None)
def test_shares_are_as_near_as_the_largest_group_allows(sizes: list[int], seed: int) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes)
    split = assign_groups(group, draw(len(group), seed), SHARES)
    balance = balance_of(split, group, SHARES, None)
    assert balance.largest_deviation <= max(sizes) / sum(sizes)


def test_several_properties_keep_their_shares_at_once() -> None:
    rng = np.random.default_rng(1)
    properties = pl.DataFrame(
        {
            "label": rng.choice(["forest", "crop", "urban", "water"], 3000, p=[0.6, 0.3, 0.08, 0.02]),
            "year": rng.choice([2019, 2020, 2021], 3000),
            "sensor": rng.choice(["A", "B"], 3000),
        }
    )
    group = rng.integers(0, 1200, 3000)
    classes = Classes.of(properties)
    split = assign_groups(group, draw(3000), SHARES, None, classes)
    at_random = pl.Series(rng.permutation(np.repeat(SPLITS, [1800, 600, 600])))
    balance = balance_of(split, group, SHARES, classes)
    assert balance.largest_deviation < 0.02 < balance_of(at_random, group, SHARES, classes).largest_deviation
    assert Counter(split) == {"train": 1800, "test": 600, "validation": 600}
