"""Counts of Sentinel-2 products made comparable over their processing baselines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

OFFSET = 1000
"""Counts that products of baseline 04.00 and later carry on top.

https://sentiwiki.copernicus.eu/web/s2-processing (BOA_ADD_OFFSET = -1000)
"""
NO_DATA = 0


def remove_offset(counts: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Take the offset away; 0 stays no data, and a dark pixel becomes 1 at least, never no data."""
    lowered = np.maximum(counts, OFFSET + 1) - OFFSET
    return np.where(counts == NO_DATA, NO_DATA, lowered).astype(np.uint16, copy=False)


def as_counts(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Values of a band as uint16; what doesn't fit becomes the nearest that does, nothing wraps."""
    if values.dtype == np.uint16:
        return values
    return np.clip(values, 0, np.iinfo(np.uint16).max).astype(np.uint16)
