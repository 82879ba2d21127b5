"""The order of the samples of an epoch, and who reads which of them.

A consumer is one reader of an epoch: a worker of a rank, or a rank without workers. The consumers divide a
sequence of samples into stretches whose lengths differ by one at most, and each reads its own from the start.
A round is such a division and how many samples each consumer has read of its stretch: what no one has read is
the sequence of the next round, which other consumers may divide. So each sample is read once in an epoch,
however often readers stop and however many go on.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
"""Positions of samples among all of the split."""
Rounds = Sequence[Sequence[int]]
"""By round: how many samples each consumer has read."""


def epoch_order(blocks: Sequence[int], seed: int, epoch: int, mixed: int) -> Positions:
    """Return every sample once: blocks in random order, the samples of some blocks mixed with each other.

    The same arguments give the same order on every machine and with every version of numpy.

    Args:
        blocks: how many samples each block has; a block's samples follow each other.
        seed: of the order.
        epoch: from 0; each has an order of its own.
        mixed: so many blocks are mixed; 0 keeps the order of the samples as it is.

    Returns:
        (samples,) of all blocks.
    """
    sizes = np.asarray(blocks, np.int64)
    total = int(sizes.sum())
    if not mixed or not total:
        return np.arange(total)
    # The raw numbers of this generator are the same in each version of numpy; its permutations may not be.
    numbers = np.random.Philox(key=[seed, epoch])
    drawn = np.argsort(numbers.random_raw(len(sizes)), kind="stable")
    block_of_place = np.repeat(np.arange(len(sizes)), sizes[drawn])
    starts = np.cumsum(sizes) - sizes
    starts_drawn = np.cumsum(sizes[drawn]) - sizes[drawn]
    order = np.arange(total) + np.repeat(starts[drawn] - starts_drawn, sizes[drawn])
    return order[np.lexsort((numbers.random_raw(total), block_of_place // mixed))]


def stretch_of(sequence: Positions, consumer: int, consumers: int) -> Positions:
    """Return what one of several consumers reads of a sequence.

    Args:
        sequence: positions of samples.
        consumer: which one, from 0.
        consumers: number of all.

    Returns:
        A view of the sequence; stretches differ by at most one in length.
    """
    first, last = (place * len(sequence) // consumers for place in (consumer, consumer + 1))
    return sequence[first:last]


def remaining(sequence: Positions, rounds: Rounds) -> Positions:
    """Return what no consumer has read in any of the rounds, in the order of the sequence.

    Args:
        sequence: positions of samples.
        rounds: how many samples each consumer has read, round by round.
    """
    for counts in rounds:
        stretches = [stretch_of(sequence, place, len(counts))[count:] for place, count in enumerate(counts)]
        sequence = np.concatenate(stretches)
    return sequence
