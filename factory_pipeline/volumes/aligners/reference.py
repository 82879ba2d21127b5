"""The reference aligner: block matching by phase correlation, large blocks first, numpy alone."""

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.errors import AlignerError
from factory_pipeline.volumes.aligners.phase_correlation import BlockShifts, match_blocks
from factory_pipeline.volumes.warp import compose, warp

PASSES = ((128, 64), (64, 32), (32, 16), (32, 8), (32, 8))
"""Of each pass: the edge of the blocks and the distance of their centres in pixels. A pass whose blocks are
more than half the shorter edge of the images is left out."""
SMALLEST_EDGE = 16
"""Pixels of the shorter edge of an image that is aligned."""
CLEAR_PEAK = 6.0
"""Standard deviations that a correlation peak is above the rest of its block."""
SMOOTHING = 0.8
"""Radius of the Gaussian that shifts are averaged by, in distances of blocks."""
OUTLIER = 0.1
"""Blocks that a shift may differ from the median of its neighbours."""

Field = NDArray[np.float32]


def align(src: NDArray[np.float32], tgt: NDArray[np.float32], previous: Field, mip: int) -> Field:
    """Return the residual field that the source, warped by the previous field, is aligned to the target by.

    Args:
        src: section to be aligned, shape (x, y); pixels that are 0 have no data.
        tgt: section that it is aligned to, of the same shape.
        previous: field in pixels, shape (2, x, y), that the source is warped by first.
        mip: of both sections; not used, as a shift of so many pixels is found alike at each.

    Returns:
        A field in pixels, shape (2, x, y); zeros where nothing can be matched.

    Raises:
        AlignerError: the images are too small.
    """
    del mip
    edge = min(src.shape)
    if edge < SMALLEST_EDGE:
        raise AlignerError(
            f"The reference aligner got images of {src.shape[0]} x {src.shape[1]} pixels;"
            f" at least {SMALLEST_EDGE} along each edge are needed."
        )
    residual = np.zeros_like(previous)
    passes = [blocks for blocks in PASSES if 2 * blocks[0] <= edge] or [(edge // 4 * 2, edge // 8)]
    for block, stride in passes:
        warped = warp(src, compose(previous, residual))
        shifts = match_blocks(warped, tgt, block, stride)
        residual = compose(residual, _interpolate_shifts(shifts, block, src.shape))
    return residual


def _interpolate_shifts(matched: BlockShifts, block: int, shape: tuple[int, ...]) -> Field:
    """A smooth field from shifts of blocks, without those that are unclear or unlike their neighbours."""
    clear = matched.weights >= CLEAR_PEAK
    medians = np.stack([_median_around(shifts, clear) for shifts in matched.shifts])
    alike = np.abs(matched.shifts - medians).max(axis=0) <= OUTLIER * block
    smooth = _smooth(matched.shifts, np.where(clear & alike, matched.weights, 0.0))
    rows, columns = (
        _interpolation(centres, length)
        for centres, length in zip((matched.rows, matched.columns), shape, strict=True)
    )
    return (rows @ smooth @ columns.T).astype(np.float32)


def _median_around(values: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Median over the valid values of each 3 x 3 neighbourhood; infinite where there are none."""
    padded = np.pad(np.where(valid, values, np.nan), 1, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).reshape(*values.shape, 9)
    ordered = np.sort(around, axis=-1)  # NaN last
    number = np.isfinite(ordered).sum(axis=-1)
    middle = [np.maximum(number - 1, 0) // 2, number // 2]
    low, high = (np.take_along_axis(ordered, index[..., None], axis=-1)[..., 0] for index in middle)
    return np.where(number > 0, (low + high) / 2, np.inf)


def _smooth(shifts: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means over neighbouring blocks; where there are none, over ever wider surroundings."""
    if not weights.any():
        return np.zeros_like(shifts)
    smooth, missing, radius = np.zeros_like(shifts), np.ones(weights.shape, bool), SMOOTHING
    while missing.any():
        blur = [_blur(length, radius) for length in weights.shape]
        total = blur[0] @ weights @ blur[1].T
        means = blur[0] @ (shifts * weights) @ blur[1].T / np.maximum(total, 1e-12)
        filled = missing & (total > 0.1)
        smooth[:, filled] = means[:, filled]
        missing &= ~filled
        radius *= 2
    return smooth


def _blur(length: int, radius: float) -> NDArray[np.float64]:
    """Return the matrix that a grid is smoothed by along one axis; rows are Gaussians of that radius."""
    distance = np.subtract.outer(np.arange(length), np.arange(length))
    matrix = np.exp(-0.5 * (distance / radius) ** 2)
    return matrix / matrix.sum(axis=1, keepdims=True)


def _interpolation(centres: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Return the matrix that interpolates linearly from block centres to pixel centres.

    Constant beyond them.
    """
    pixels = np.arange(length) + 0.5
    return np.stack([np.interp(pixels, centres, unit) for unit in np.eye(len(centres))], axis=1)
