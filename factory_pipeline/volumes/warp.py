"""Arithmetic of images and fields: warping, composing, resampling between mips.

Arrays have the axes of a volume, (x, y), with half-pixel centres: pixel i covers [i, i + 1) and its value is
at i + 0.5, so that a box has the same place at every mip. A field is (2, x, y) in pixels of its mip: channel
0 moves along the last axis (y of the volume), channel 1 along x, as `torch.nn.functional.grid_sample` orders
them.
"""

from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from factory_pipeline.errors import ArgumentError

Floats = NDArray[np.float32]
Resampling = Literal["bilinear", "area"]
WARP_ROWS = 256
"""Rows of an image that are warped at a time: their positions take four times the bytes of the image."""


def warp(image: Floats, field: Floats) -> Floats:
    """Pull an image through a field: out(p) = image(p + field(p)), bilinear, zeros outside the image.

    Args:
        image: (x, y).
        field: (2, x, y) in pixels of the image; finite.

    Returns:
        (x, y).
    """
    if field.shape != (2, *image.shape):
        raise ArgumentError(
            "field", field.shape, f"an image of shape {image.shape} takes a field of (2, x, y)"
        )
    return _sample(image, field, "grid-constant")


def compose(previous: Floats, residual: Floats) -> Floats:
    """Return the field that does what warping by `previous` and then by `residual` does.

    total(p) = residual(p) + previous(p + residual(p)); beyond its edges `previous` continues with the vectors
    of its edge.

    Args:
        previous: (2, x, y), applied first, such as the field of the stage before.
        residual: (2, x, y), applied to what `previous` has warped.

    Returns:
        (2, x, y).
    """
    if previous.shape != residual.shape:
        raise ArgumentError("residual", residual.shape, f"the previous field has the shape {previous.shape}")
    return residual + np.stack([_sample(channel, residual, "nearest") for channel in previous])


def _sample(image: Floats, field: Floats, beyond: Literal["grid-constant", "nearest"]) -> Floats:
    """Return image(p + field(p)); `beyond` is the mode of scipy for what is outside of the image."""
    sampled = np.empty(image.shape, np.float32)
    y = np.arange(image.shape[1], dtype=np.float64)
    for start in range(0, image.shape[0], WARP_ROWS):
        rows = slice(start, start + WARP_ROWS)
        x = np.arange(image.shape[0], dtype=np.float64)[rows, None]
        positions = np.stack([field[1, rows] + x, field[0, rows] + y])
        scipy.ndimage.map_coordinates(image, positions, sampled[rows], order=1, mode=beyond, prefilter=False)
    return sampled


def resample(image: Floats, src_mip: int, dst_mip: int, resampling: Resampling = "bilinear") -> Floats:
    """Resample an image, or each of several on leading axes, from one mip to another.

    Bilinear takes the two nearest pixels of each axis and smooths nothing, also where the image shrinks; at
    the edges it repeats the last pixel, as `torch.nn.functional.interpolate` does with `align_corners=False`.

    Args:
        image: (..., x, y) at `src_mip`.
        src_mip: mip of the image.
        dst_mip: mip that is needed.
        resampling: `area` takes the mean of the pixels that become one; it only differs where the image
            shrinks.

    Returns:
        (..., x', y') with x' = floor(x * 2**(src_mip - dst_mip)), and y' likewise.
    """
    if src_mip == dst_mip:
        return image
    shape = (_scale_size(image.shape[-2], src_mip, dst_mip), _scale_size(image.shape[-1], src_mip, dst_mip))
    if resampling == "area" and dst_mip > src_mip:
        return _block_means(image, 2 ** (dst_mip - src_mip), shape)
    return _interpolate(image, 2.0 ** (dst_mip - src_mip), (0, 0), shape)


def resample_field(field: Floats, src_mip: int, dst_mip: int, shape: tuple[int, int] | None = None) -> Floats:
    """Resample a field to a finer mip; its vectors become pixels of that mip.

    Sets of both mips share their centre: what hangs over `shape` is cropped equally on all sides.

    Args:
        field: (2, x, y) in pixels of `src_mip`.
        src_mip: mip of the field.
        dst_mip: mip that is needed, at most `src_mip`.
        shape: (x, y) of the result; by default the whole field's at `dst_mip`.

    Returns:
        (2, x', y') in pixels of `dst_mip`.

    Raises:
        ArgumentError: `dst_mip` is coarser than `src_mip`, or the field does not cover `shape`.
    """
    if dst_mip > src_mip:
        raise ArgumentError("dst_mip", dst_mip, f"a field of MIP {src_mip} is resampled to finer mips only")
    factor = 2 ** (src_mip - dst_mip)
    whole = (field.shape[1] * factor, field.shape[2] * factor)
    wanted = whole if shape is None else shape
    over = tuple(have - need for have, need in zip(whole, wanted, strict=True))
    if min(over) < 0:
        raise ArgumentError("shape", shape, f"the field covers only {whole} pixels of MIP {dst_mip}")
    offset = (over[0] // 2, over[1] // 2)
    if factor == 1:
        return field[:, offset[0] : offset[0] + wanted[0], offset[1] : offset[1] + wanted[1]]
    return _interpolate(field, 1 / factor, offset, wanted) * np.float32(factor)


def _scale_size(size: int, src_mip: int, dst_mip: int) -> int:
    """Return how many pixels of `dst_mip` fit into a length of `size` pixels of `src_mip`."""
    return size * 2**src_mip // 2**dst_mip


def _interpolate(image: Floats, step: float, offset: tuple[int, int], shape: tuple[int, int]) -> Floats:
    """Take pixels every `step` pixels of the image, from output pixel `offset` on, linear in both axes."""
    for axis, start, size in ((-2, offset[0], shape[0]), (-1, offset[1], shape[1])):
        last = image.shape[axis] - 1
        position = np.clip((np.arange(start, start + size) + 0.5) * step - 0.5, 0, last)
        lower = position.astype(np.intp)
        upper = np.minimum(lower + 1, last)
        weight = (position - lower).astype(np.float32)
        if axis == -2:
            weight = weight[:, None]
        low = np.take(image, lower, axis)
        image = low * (1 - weight) + np.take(image, upper, axis) * weight
    return image


def _block_means(image: Floats, factor: int, shape: tuple[int, int]) -> Floats:
    """Return the means of blocks of `factor` x `factor` pixels; incomplete blocks are left out."""
    complete = image[..., : shape[0] * factor, : shape[1] * factor]
    blocks = complete.reshape(*image.shape[:-2], shape[0], factor, shape[1], factor)
    return blocks.mean(axis=(-3, -1), dtype=np.float64).astype(np.float32)
