"""From the pixels of every raster to the finished windows."""

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.reader import ReadFailure, ReadWindow
from factory_pipeline.cog.resample import Mask, Pixels
from factory_pipeline.cog.window_stack import PendingPatch, PendingStack


def assemble(stack: PendingStack) -> list[ReadWindow | ReadFailure]:
    """Return the results of windows whose blocks are all decoded, or lost."""
    values, valid = _resample(stack)
    answers: list[ReadWindow | ReadFailure] = [
        ReadWindow(*pixels) for pixels in zip(values, valid, strict=True)
    ]
    for member, failure in stack.failures.items():
        answers[member] = failure
    return answers


def _resample(stack: PendingStack) -> Pixels:
    """Resample every source; the first with data at a pixel wins."""
    made = [patch.sampling.apply(*mosaic_tiles(patch, stack.dtype)) for patch in stack.patches]
    if len(made) == 1:
        return made[0]
    shape = len(stack.positions), *stack.shape
    values: NDArray[np.generic] = np.zeros(shape, stack.dtype)
    valid = np.zeros(shape, np.bool_)
    for others, hold in reversed(made):
        np.copyto(values, others, where=hold)
        valid |= hold
    return values, valid


def mosaic_tiles(patch: PendingPatch, dtype: np.dtype) -> tuple[NDArray[np.generic], Mask]:
    """Return the tiles of one pixel grid as one array and where they hold data.

    The first that does so wins.

    Args:
        patch: its tiles have one shape, (rows, columns); the preferred one is first.
        dtype: of the result.

    Returns:
        (rows, columns) of values, and of where they are valid; None if all are.
    """
    first, *others = patch.tiles
    if not others:
        return first.values.astype(dtype, copy=False), first.valid
    laid: NDArray[np.generic] = np.zeros(first.values.shape, dtype)
    holds = np.zeros(first.values.shape, np.bool_)
    for tile in reversed(patch.tiles):
        valid = tile.valid
        np.copyto(laid, tile.values, where=True if valid is None else valid)
        holds |= True if valid is None else valid
    return laid, None if holds.all() else holds
