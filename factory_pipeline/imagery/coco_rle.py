"""Run-length encoding of masks as COCO defines it: columns first, background first; compressed or counts.

Source of the format: pycocotools, `maskApi.c`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes


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


FIRST_CHARACTER = 48
"""The character for 0."""
DATA_BITS, MORE, NEGATIVE = 5, 0x20, 0x10


def run_lengths(counts: str | Sequence[int]) -> list[int]:
    """The runs, from either way of writing them.

    A text has six bits per character: five of a number, the lowest first, and whether more of it follow; the
    last of them has the sign. From the third run on the number is what a run is longer than the one before
    the last.

    Raises:
        ValueError: it is cut off, has characters that mean nothing, or runs of negative length.
    """
    runs = _from_text(counts) if isinstance(counts, str) else list(counts)
    if any(run < 0 for run in runs):
        raise ValueError("a run has a negative length")
    return runs


def decode(counts: str | Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """The mask (height, width) of its runs.

    Raises:
        ValueError: the runs are broken, or of another size.
    """
    runs = run_lengths(counts)
    if sum(runs) != height * width:
        raise ValueError(f"its runs have {sum(runs)} pixels, not {height} x {width}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def outlines(mask: NDArray[np.bool_]) -> Any:
    """The polygons along the edges of a mask's pixels: drawn again, they give exactly the same pixels."""
    traced = shapes(mask.astype(np.uint8), mask=mask, connectivity=4)
    return shapely.MultiPolygon([shapely.geometry.shape(polygon) for polygon, _ in traced])


def _from_text(text: str) -> list[int]:
    runs: list[int] = []
    number, bits = 0, 0
    for character in text:
        code = ord(character) - FIRST_CHARACTER
        if not 0 <= code < 64:
            raise ValueError(f"the character {character!r} means nothing in it")
        number |= (code & (MORE - 1)) << bits
        bits += DATA_BITS
        if code & MORE:
            continue
        if code & NEGATIVE:
            number -= 1 << bits
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number, bits = 0, 0
    if bits:
        raise ValueError("it is cut off")
    return runs
