"""Counts of Sentinel-2 products made comparable over their processing baselines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_DATA = 0
FLOOR = 1
"""The lowest count that is data."""
FLOOR_SHARE = 0.95
"""Share of a window's pixels above which a band at the floor says nothing about the ground.

Water and shadow, where a band may honestly reach the floor, are each limited to a quarter of a window.
"""


def remove_offset(counts: NDArray[np.uint16], offset: int) -> NDArray[np.uint16]:
    """Subtract the offset; 0 stays no data, and a dark pixel becomes 1 at least, never no data.

    Args:
        counts: digital numbers of any shape, 0 for no data.
        offset: counts to subtract (ESA's RADIO_ADD_OFFSET, with its sign turned).
    """
    lowered = np.maximum(counts, offset + FLOOR) - offset
    return np.where(counts == NO_DATA, NO_DATA, lowered).astype(np.uint16, copy=False)


def as_counts(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Return values of a band as uint16; what doesn't fit becomes the nearest that does, nothing wraps."""
    if values.dtype == np.uint16:
        return values
    return np.clip(values, 0, np.iinfo(np.uint16).max).astype(np.uint16)
