"""Run-length encoding of masks as COCO defines it: columns first, background first; compressed or counts.

Source of the format: pycocotools, `maskApi.c`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes

_FIRST_CHARACTER = 48
"""The character for 0."""
_DATA_BITS, _MORE, _NEGATIVE = 5, 0x20, 0x10


def encode_counts(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Encode a mask, uncompressed.

    Args:
        mask: (height, width).

    Returns:
        `counts` and `size` (height, width), as `segmentation` of an annotation.
    """
    column_by_column = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(column_by_column)) + 1
    # A mask that begins with 1 has an empty run of 0 before it.
    begins = [0, 0] if mask.size and column_by_column[0] else [0]
    return {
        "counts": np.diff(np.concatenate([begins, changes, [mask.size]])).tolist(),
        "size": list(mask.shape),
    }


def decode_counts(counts: str | Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """Decode the mask (height, width) of an annotation.

    Args:
        counts: the runs, as numbers or compressed to a text.
        height: of the mask, in pixels.
        width: of the mask, in pixels.

    Raises:
        ValueError: the text is truncated or contains invalid characters, or the runs have a negative length
            or don't match the size.
    """
    runs = _runs_of_text(counts) if isinstance(counts, str) else list(counts)
    if any(run < 0 for run in runs):
        raise ValueError("a run has a negative length")
    if sum(runs) != height * width:
        raise ValueError(f"its runs have {sum(runs)} pixels, not {height} x {width}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def mask_to_polygons(mask: NDArray[np.bool_]) -> Any:
    """Return the polygons along the edges of a mask's pixels.

    Burnt again, they reproduce exactly the same pixels.
    """
    traced = shapes(mask.astype(np.uint8), mask=mask, connectivity=4)
    return shapely.MultiPolygon([shapely.geometry.shape(polygon) for polygon, _ in traced])


def _runs_of_text(text: str) -> list[int]:
    """Return the runs that a text encodes.

    Each character has six bits: five of a number, the lowest first, and one that says whether more bits of it
    follow; the last character has the sign. From the third run on, the number is the difference between a run
    and the one before the last.
    """
    runs: list[int] = []
    number, bits = 0, 0
    for character in text:
        code = ord(character) - _FIRST_CHARACTER
        if not 0 <= code < 64:
            raise ValueError(f"the character {character!r} is not valid in it")
        number |= (code & (_MORE - 1)) << bits
        bits += _DATA_BITS
        if code & _MORE:
            continue
        if code & _NEGATIVE:
            number -= 1 << bits
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number, bits = 0, 0
    if bits:
        raise ValueError("it is truncated")
    return runs
