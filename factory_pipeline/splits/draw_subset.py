"""Drawing a part of the items: the same number of each stratum, or those that are as different as possible.

What is drawn depends on the items and their keys, not on the order in which they are given.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray


def draw_evenly(
    stratum: NDArray[np.int64],
    key: NDArray[np.uint64],
    kept: NDArray[np.bool_],
    size: int,
    order: NDArray[np.uint64],
) -> NDArray[np.bool_]:
    """Draw items evenly over strata; those with the least keys of each stratum.

    Args:
        stratum: (items,) the number of the stratum of each.
        key: (items,) random-looking, by the item alone.
        kept: (items,) those that are drawn before others and count towards the quota of their stratum. If
            there are more than `size`, only kept ones are drawn.
        size: how many are drawn, at most as many as there are.
        order: (strata,) keys of the strata in ascending order: those with the least get what does not divide
            evenly.

    Returns:
        (items,) True for those that are drawn.
    """
    strata, number = np.unique(stratum, return_inverse=True)
    number = number.reshape(-1)
    pool = np.ones(len(stratum), np.bool_)
    if kept.sum() > size:
        pool, kept = kept, np.zeros(len(stratum), np.bool_)
    available = np.bincount(number[pool], minlength=len(strata))
    held = np.bincount(number[kept], minlength=len(strata))
    wanted = even_quotas(available, held, size, order) - held
    fresh = np.flatnonzero(pool & ~kept)
    fresh = fresh[np.lexsort((key[fresh], number[fresh]))]
    turn = np.arange(len(fresh)) - np.searchsorted(number[fresh], number[fresh], side="left")
    drawn = kept.copy()
    drawn[fresh[turn < wanted[number[fresh]]]] = True
    return drawn


def draw_apart(
    points: NDArray[np.float64], key: NDArray[np.uint64], kept: NDArray[np.bool_], size: int
) -> NDArray[np.bool_]:
    """Draw items so that none that is not drawn is far from all that are, by farthest-point sampling.

    Args:
        points: (items, dimensions) the place of each among the others.
        key: as for `draw_evenly`; the least decides where distances are equal.
        kept: as for `draw_evenly`.
        size: as for `draw_evenly`.

    Returns:
        (items,) True for those that are drawn.
    """
    pool = np.arange(len(points))
    if kept.sum() > size:
        pool, kept = np.flatnonzero(kept), np.zeros(len(points), np.bool_)
    drawn = np.zeros(len(points), np.bool_)
    drawn[pool[farthest_points(points[pool], size, key[pool], np.flatnonzero(kept[pool]))]] = True
    return drawn


def ranks_of(values: pl.DataFrame) -> NDArray[np.float64]:
    """Return the rank of every value among those of its column, from 0 to 1.

    With ranks neither units nor extreme values decide; one that is missing is in the middle.

    Args:
        values: numbers, a row per item.

    Returns:
        (items, columns).
    """
    scale = max(values.height - 1, 1)
    ranked = values.select(((pl.all().rank("average") - 1) / scale).fill_null(0.5))
    return ranked.to_numpy().astype(np.float64)


def even_quotas(
    available: NDArray[np.int64], kept: NDArray[np.int64], size: int, order: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Return how many items each stratum gives: as even as what is available and kept allows.

    Water-filling: every stratum is filled to one level, but never above `available` and never below `kept`.
    What doesn't divide evenly goes, one each, to the strata that are first in `order`. `size` is between the
    sums of `kept` and `available`.

    Args:
        available: (strata,) items of each stratum.
        kept: (strata,) those that must be drawn.
        size: the sum of what is returned.
        order: (strata,) keys by which the rest is given out.

    Returns:
        (strata,) how many are drawn of each.
    """
    low, high = 0, int(available.max(initial=0))
    while low < high:
        level = (low + high + 1) // 2
        if np.clip(level, kept, available).sum() <= size:
            low = level
        else:
            high = level - 1
    quotas = np.clip(low, kept, available)
    takers = np.flatnonzero((quotas == low) & (available > low))
    takers = takers[np.argsort(order[takers])]
    quotas[takers[: size - int(quotas.sum())]] += 1
    return quotas


def farthest_points(
    points: NDArray[np.float64], size: int, order: NDArray[np.uint64], first: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Choose points one by one, each the farthest from all that are chosen (Gonzalez 1985).

    Args:
        points: (points, dimensions).
        size: how many to choose, those of `first` included.
        order: (points,) keys: the point with the least is the first, and of equally far ones the least wins.
        first: indexes of points that are chosen before.

    Returns:
        Indexes of the chosen points.
    """
    by_key = np.argsort(order, kind="stable")
    ranked = points[by_key]
    place = np.empty(len(points), np.int64)
    place[by_key] = np.arange(len(points))
    chosen = place[first].tolist() or [0]
    nearest = np.full(len(points), np.inf)
    for index in chosen:
        np.minimum(nearest, ((ranked - ranked[index]) ** 2).sum(axis=1), out=nearest)
    nearest[chosen] = -1
    while len(chosen) < size:
        index = int(np.argmax(nearest))
        chosen.append(index)
        np.minimum(nearest, ((ranked - ranked[index]) ** 2).sum(axis=1), out=nearest)
        nearest[index] = -1
    return by_key[np.array(chosen[:size])]
