"""Groups that pairs connect."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.splits import connected_groups
from factory_pipeline.splits.connected_groups import group_numbers
from factory_pipeline_tests.examples import up_to


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


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))
    )
)
@settings(max_examples=up_to(20))
def test_groups_are_the_connected_components(case: tuple[int, list[tuple[int, int]]]) -> None:
    count, pairs = case
    groups = group_numbers(count, [np.array(pairs, dtype=np.int64).reshape(-1, 2)])
    reach = np.eye(count, dtype=bool)
    for one, other in pairs:
        reach[one, other] = reach[other, one] = True
    for _ in range(count):
        reach = reach @ reach
    assert ((groups[:, None] == groups[None]) == reach).all()
