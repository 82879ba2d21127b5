"""Groups of members that pairs connect."""

from collections.abc import Iterable

import numpy as np
import scipy
from numpy.typing import NDArray

_HELD = 1 << 22
"""Pairs held at a time."""


def group_numbers(count: int, pairs: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the group of each of `count` members, where pairs belong together: the lowest member's number.

    Args:
        count: of members.
        pairs: arrays of (pairs, 2) members; only some are held at a time.
    """
    groups = np.arange(count, dtype=np.int64)
    waiting: list[NDArray[np.int64]] = []
    for part in pairs:
        waiting.append(part)
        if sum(map(len, waiting)) > _HELD:
            groups, waiting = _join_groups(groups, waiting), []
    return _join_groups(groups, waiting)


def _join_groups(groups: NDArray[np.int64], pairs: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    count = len(groups)
    if not count:
        return groups
    one, other = np.concatenate([*pairs, np.stack([np.arange(count), groups], axis=1)]).T
    graph = scipy.sparse.coo_array((np.ones(len(one), dtype=np.bool_), (one, other)), shape=(count, count))
    _, labels = scipy.sparse.csgraph.connected_components(graph, directed=False)
    lowest = np.full(labels.max() + 1, count, dtype=np.int64)
    np.minimum.at(lowest, labels, np.arange(count))
    return lowest[labels]
