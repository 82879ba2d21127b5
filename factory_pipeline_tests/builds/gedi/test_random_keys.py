import numpy as np

from factory_pipeline.builds.gedi.random_keys import random_keys

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
