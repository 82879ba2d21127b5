"""From the pixels of every raster to the finished windows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.reader import Indices, ReadFailure, ReadStack
from factory_pipeline.cog.resample import Mask, Pixels
from factory_pipeline.cog.window_stack import PendingPatch, PendingStack


def assemble(stack: PendingStack) -> Iterator[tuple[Indices, ReadStack | ReadFailure]]:
    """Yield the results of windows whose blocks are all decoded, or lost, with their positions."""
    read = np.ones(len(stack.positions), np.bool_)
    for failure in dict.fromkeys(stack.failures.values()):
        failed = [member for member, why in stack.failures.items() if why == failure]
        read[failed] = False
        yield stack.positions[failed], failure
    if read.all():
        yield stack.positions, ReadStack(*_resample(stack))
    elif read.any():
        values, valid = _resample(stack)
        yield stack.positions[read], ReadStack(values[read], valid[read])


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
        patch: its tiles have one shape, (windows, rows, columns); the preferred one is first.
        dtype: of the result.

    Returns:
        (windows, rows, columns) of values, and of where they are valid; None if all are.
    """
    first, *others = patch.tiles
    if not others:
        return first.values.astype(dtype, copy=False), first.valid
    values: NDArray[np.generic] = np.zeros(first.values.shape, dtype)
    holds = np.zeros(first.values.shape, np.bool_)
    for tile in reversed(patch.tiles):
        valid = tile.valid
        np.copyto(values, tile.values, where=True if valid is None else valid)
        holds |= True if valid is None else valid
    return values, None if holds.all() else holds
