"""Items that give way to those of another split, so that splits that time or a column decides do not leak."""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.names import SPLITS, TEST, TRAIN, VALIDATION

KEPT_FIRST = (TEST, VALIDATION, TRAIN)
"""Of two items of different splits that are too near, the one of the split that is named later gives way."""


def find_too_near(
    split: pl.Series,
    ground: Ground,
    buffer_m: float = 0.0,
    groups: Sequence[NDArray[np.int64]] = (),
    pairs: NDArray[np.int64] | None = None,
    stays: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Return which items give way to an item of another split.

    No two of the others are too near each other and of different splits, unless both stay.

    Args:
        split: of each item; null for one that is in none, which nothing gives way to.
        ground: where the items are.
        buffer_m: distance in metres below which two items are too near; 0 for overlap alone.
        groups: (items,) each: items of the same number are too near each other, as identical ones are.
        pairs: (pairs, 2) positions of more items that are, as near-identical ones.
        stays: (items,) items that never give way, and to which all others do.

    Returns:
        (items,) True for those that give way.
    """
    numbers = {name: number for number, name in enumerate(SPLITS)}
    side = split.replace_strict(numbers, default=-1, return_dtype=pl.Int64).to_numpy()
    priority = np.array([1 + KEPT_FIRST.index(name) for name in SPLITS])[side]
    if stays is not None:
        priority[stays] = 0
    gives_way = np.zeros(len(side), np.bool_)

    def compare(number: NDArray[np.int64], count: int, near: Iterable[NDArray[np.int64]] = ()) -> None:
        """Mark the items whose place, or one near it, has an item of another split that goes before them."""
        there = (number >= 0) & (side >= 0)
        first = np.full((len(SPLITS), count), len(SPLITS) + 1)
        np.minimum.at(first, (side[there], number[there]), priority[there])
        reached = first.copy()
        for one, other in (part.T for part in near):
            for here, beside in ((one, other), (other, one)):
                for of_split, found in zip(reached, first, strict=True):
                    np.minimum.at(of_split, here, found[beside])
        for place in range(len(SPLITS)):
            of_split = np.flatnonzero(there & (side == place))
            before = np.delete(reached, place, axis=0)[:, number[of_split]].min(axis=0)
            gives_way[of_split] |= before < priority[of_split]

    compare(ground.number, len(ground.corners), ground.pairs(buffer_m))
    for group in groups:
        compare(group, len(group))
    if pairs is not None:
        compare(np.arange(len(side)), len(side), [pairs])
    return gives_way
