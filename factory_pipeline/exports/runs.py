"""Run-length encoding of binary masks as COCO has it, not compressed: the lengths of runs of 0 and 1 in turn,
that of 0 first, pixels taken column by column (https://github.com/cocodataset/cocoapi, `mask.py`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_runs(pixels: NDArray[np.bool_]) -> dict[str, Any]:
    """Encode a mask.

    Args:
        pixels: (height, width).

    Returns:
        `counts` and `size` (height, width), as `segmentation` of an annotation.
    """
    column_by_column = pixels.ravel(order="F")
    changes = np.flatnonzero(np.diff(column_by_column)) + 1
    # A mask that begins with 1 has an empty run of 0 before it.
    begins = [0, 0] if pixels.size and column_by_column[0] else [0]
    return {
        "counts": np.diff(np.concatenate([begins, changes, [pixels.size]])).tolist(),
        "size": list(pixels.shape),
    }


def from_runs(runs: dict[str, Any]) -> NDArray[np.bool_]:
    """Decode what `to_runs` encoded: (height, width)."""
    counts = np.array(runs["counts"], np.int64)
    pixels = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    height, width = runs["size"]
    return pixels.reshape((height, width), order="F")
