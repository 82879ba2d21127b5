"""Groups that pairs connect."""

import numpy as np
import pytest

from factory_pipeline.splits import connected_groups
from factory_pipeline.splits.connected_groups import group_numbers


def test_members_are_numbered_by_the_lowest_of_their_group():
    pairs = [np.array([[4, 2]]), np.array([[2, 0], [5, 5]])]
    assert group_numbers(6, pairs).tolist() == [0, 1, 0, 3, 0, 5]


def test_without_members_or_pairs_there_is_nothing_to_connect():
    assert group_numbers(0, []).tolist() == []
    assert group_numbers(3, []).tolist() == [0, 1, 2]


def test_a_long_chain_in_any_order_is_one_group():
    chain = np.random.default_rng(0).permutation(5000)
    pairs = np.stack([chain[:-1], chain[1:]], axis=1)
    assert group_numbers(5001, [pairs]).tolist() == [0] * 5000 + [5000]


def test_pairs_in_parts_give_the_same_groups(monkeypatch: pytest.MonkeyPatch):
    random = np.random.default_rng(1)
    pairs = random.integers(0, 200, (150, 2))
    whole = group_numbers(200, [pairs])
    monkeypatch.setattr(connected_groups, "_HELD", 10)
    assert group_numbers(200, np.array_split(pairs, 30)).tolist() == whole.tolist()
