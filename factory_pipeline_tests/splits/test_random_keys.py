"""Keys that shuffle: distinct, even, and of the seed and the number alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.splits.random_keys import random_keys
from factory_pipeline_tests.examples import up_to

NUMBERS = np.array([0, 1, 2, -1, 2**63 - 1, 17480000200123457])


def test_different_numbers_have_different_keys() -> None:
    assert len(set(random_keys(np.arange(10_000), 7).tolist())) == 10_000


def test_a_key_depends_on_seed_and_number_alone() -> None:
    keys = random_keys(NUMBERS, 5)
    assert random_keys(NUMBERS[::-1], 5).tolist() == keys[::-1].tolist()
    assert not set(keys.tolist()) & set(random_keys(NUMBERS, 6).tolist())
    assert random_keys(NUMBERS, 5 + 2**64).tolist() == keys.tolist()


def test_keys_are_spread_evenly() -> None:
    share = (random_keys(np.arange(100_000), 1) < 2**62).mean()
    assert 0.245 < share < 0.255


@settings(max_examples=up_to(30))
@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, min_size=2), st.integers())
def test_random_keys_are_as_distinct_as_the_numbers(numbers: list[int], seed: int) -> None:
    keys = random_keys(np.array(numbers, np.int64), seed)
    assert len(np.unique(keys)) == len(numbers)


@pytest.mark.parametrize(("seed", "first_output"), [(0, 0xE220A8397B1DCDAF), (1234567, 6457827717110365317)])
def test_random_keys_are_those_of_splitmix64(seed: int, first_output: int) -> None:
    """The generator's first outputs are published for these seeds; a number equal to it meets state 0."""
    number = np.array([first_output], np.uint64).view(np.int64)
    assert random_keys(number, seed).tolist() == [0xE220A8397B1DCDAF]
