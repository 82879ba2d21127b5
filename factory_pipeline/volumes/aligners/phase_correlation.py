"""Shifts between two images block by block, by phase correlation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST_SHARE = 0.5
"""Of a block's pixels, those that both images must have data in."""
PEAK_PX = 1.0
"""Standard deviation of a correlation peak, in pixels: what the spectrum is smoothed by."""
LONGEST_SHIFT = 0.375
"""Longest shift that is accepted, in blocks: beyond it too little of the block is in both images."""
NOISE = 0.5
"""Strength of a frequency, in means of all, at which its phase counts two thirds."""
BLOCKS_AT_ONCE = 1 << 20
"""Pixels of blocks that are transformed at a time."""

Image = NDArray[np.float32]


@dataclass(frozen=True)
class BlockShifts:
    """Shifts on a regular grid of blocks.

    Attributes:
        rows: centres of the blocks along the first axis, in pixels from the image's outer edge, shape (r,).
        columns: the same along the last axis, shape (c,).
        shifts: by which the source's content is shifted from the target's, in pixels, shape (2, r, c);
            channel 0 is along the last axis, channel 1 along the first.
        weights: height of the correlation peak above the rest of its block, shape (r, c); 0 for a block
            that has too little data, or whose shift is not accepted.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    shifts: NDArray[np.float64]
    weights: NDArray[np.float64]


def match_blocks(src: Image, tgt: Image, block: int, stride: int) -> BlockShifts:
    """Measure the shift of each block so that src(p + shift) is like tgt(p) around the block's centre.

    Pixels that are 0 have no data. Each block is windowed (Hann), its mean over the pixels with data taken
    off; the peak of the cross-power spectrum's inverse transform, smoothed by a Gaussian, is located to a
    fraction of a pixel by a parabola through the logarithms of its neighbours, which is exact for a Gaussian.

    Args:
        src: image of shape (x, y).
        tgt: image of the same shape.
        block: edge of a block in pixels, even, at most the shorter edge of the images.
        stride: distance of the centres of neighbouring blocks in pixels.
    """
    starts = [_block_starts(length, block, stride) for length in src.shape]
    smooth = _peak_spectrum(block)
    window = np.outer(np.hanning(block + 2)[1:-1], np.hanning(block + 2)[1:-1]).astype(np.float32)
    shifts = np.zeros((2, len(starts[0]), len(starts[1])))
    weights = np.zeros(shifts.shape[1:])
    views = [np.lib.stride_tricks.sliding_window_view(image, (block, block)) for image in (src, tgt)]
    rows_at_once = max(1, BLOCKS_AT_ONCE // (block * block * len(starts[1])))
    for first in range(0, len(starts[0]), rows_at_once):
        some = slice(first, first + rows_at_once)
        index = np.ix_(starts[0][some], starts[1])
        blocks = [view[index].reshape(-1, block, block) for view in views]
        found, height = _match(blocks[0], blocks[1], window, smooth)
        shape = (-1, len(starts[1]))
        shifts[0, some], shifts[1, some] = found[1].reshape(shape), found[0].reshape(shape)
        weights[some] = height.reshape(shape)
    centres = [start.astype(np.float64) + block / 2 for start in starts]
    return BlockShifts(centres[0], centres[1], shifts, weights)


def _block_starts(length: int, block: int, stride: int) -> NDArray[np.int64]:
    """First pixels of blocks that cover an edge evenly, from one end to the other."""
    number = max(1, -(-(length - block) // stride) + 1)
    if number == 1:
        return np.array([(length - block) // 2])
    return np.round(np.linspace(0, length - block, number)).astype(np.int64)


def _peak_spectrum(block: int) -> NDArray[np.float32]:
    """Return the transform of a Gaussian peak of unit height at shift 0."""
    rows, columns = np.fft.fftfreq(block), np.fft.rfftfreq(block)
    squares = rows[:, None] ** 2 + columns[None, :] ** 2
    spectrum = np.exp(-2 * (np.pi * PEAK_PX) ** 2 * squares)
    return (spectrum / np.fft.irfft2(spectrum, (block, block))[0, 0]).astype(np.float32)


def _match(
    src: Image, tgt: Image, window: NDArray[np.float32], smooth: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shifts along the first and the last axis, shape (2, n), and weights, shape (n,), of n blocks."""
    block = src.shape[-1]
    data = (src != 0) & (tgt != 0)
    share = data.mean(axis=(1, 2))
    spectra = [np.fft.rfft2(_subtract_mean(image, data) * window) for image in (src, tgt)]
    cross = spectra[0] * np.conj(spectra[1])
    magnitude = np.abs(cross)
    # The phase of weak frequencies is that of noise: they count less.
    floor = NOISE * magnitude.mean(axis=(1, 2), keepdims=True) + np.finfo(np.float32).tiny
    correlation = np.fft.irfft2(cross / (magnitude + floor) * smooth, (block, block))
    flat = correlation.reshape(len(src), -1)
    peak = flat.argmax(axis=1)
    at = np.stack(np.unravel_index(peak, (block, block)))
    number = np.arange(len(src))
    shifts = np.empty((2, len(src)))
    for axis in range(2):
        before, after = at.copy(), at.copy()
        before[axis] = (at[axis] - 1) % block
        after[axis] = (at[axis] + 1) % block
        values = [correlation[number, here[0], here[1]] for here in (before, at, after)]
        low, middle, high = np.log(np.maximum(values, 1e-6))
        bend = low - 2 * middle + high
        offset = np.where(bend < 0, (low - high) / (2 * np.where(bend < 0, bend, 1)), 0).clip(-0.5, 0.5)
        shifts[axis] = (at[axis] + block // 2) % block - block // 2 + offset
    height = (flat[number, peak] - flat.mean(axis=1)) / (flat.std(axis=1) + np.finfo(np.float32).eps)
    accepted = (share >= SMALLEST_SHARE) & (np.abs(shifts).max(axis=0) <= LONGEST_SHIFT * block)
    return shifts, np.where(accepted, height, 0.0)


def _subtract_mean(blocks: Image, data: NDArray[np.bool_]) -> Image:
    """Blocks less their mean over the pixels with data; pixels without are 0, the mean."""
    number = np.maximum(data.sum(axis=(1, 2), keepdims=True), 1)
    mean = (blocks * data).sum(axis=(1, 2), keepdims=True) / number
    centred: Image = ((blocks - mean) * data).astype(np.float32)
    return centred
