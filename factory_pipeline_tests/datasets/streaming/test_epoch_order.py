"""Each sample once per epoch, whoever reads, stops and goes on."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.datasets.streaming.epoch_order import epoch_order, remaining, stretch_of

BLOCKS = st.lists(st.integers(0, 9), max_size=12)


@given(blocks=BLOCKS, seed=st.integers(0, 2**60), epoch=st.integers(0, 9), mixed=st.integers(0, 20))
def test_an_epoch_has_each_sample_once(blocks: list[int], seed: int, epoch: int, mixed: int) -> None:
    order = epoch_order(blocks, seed, epoch, mixed)
    assert sorted(order.tolist()) == list(range(sum(blocks)))


@pytest.mark.integration
@given(
    blocks=BLOCKS,
    mixed=st.integers(1, 5),
    sessions=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), max_size=6),
)
@settings(max_examples=300)
def test_readers_that_stop_anywhere_and_others_that_go_on_read_each_sample_once(
    blocks: list[int], mixed: int, sessions: list[list[int]]
) -> None:
    """A session has as many readers as numbers, which stop after so many samples, or at their end."""
    order, read, rounds = epoch_order(blocks, 7, 0, mixed), [], []
    for stops in sessions:
        left = remaining(order, rounds)
        parts = [stretch_of(left, place, len(stops))[:stop] for place, stop in enumerate(stops)]
        assert max(len(stretch_of(left, place, len(stops))) for place in range(len(stops))) <= (
            min(len(stretch_of(left, place, len(stops))) for place in range(len(stops))) + 1
        )
        read += [sample for part in parts for sample in part.tolist()]
        rounds.append([len(part) for part in parts])
    read += remaining(order, rounds).tolist()
    assert sorted(read) == list(range(sum(blocks)))


def test_blocks_are_mixed_with_as_many_as_are_said() -> None:
    order = epoch_order([10] * 12, seed=1, epoch=0, mixed=3)
    for start in range(0, 120, 30):
        blocks = order[start : start + 30] // 10
        assert len(set(blocks.tolist())) == 3
        assert len(set(blocks[:10].tolist())) > 1
    assert epoch_order([10] * 12, 1, 0, 0).tolist() == list(range(120))


def test_epochs_and_seeds_differ_and_the_order_stays_what_it_was() -> None:
    orders = [epoch_order([7] * 50, seed, epoch, 4) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert not any(np.array_equal(one, other) for one in orders for other in orders if one is not other)
    # What an earlier version began, a later one must be able to end.
    assert hashlib.sha256(orders[0].astype("<i8").tobytes()).hexdigest()[:16] == "a66a6a9f9eb400ae"
