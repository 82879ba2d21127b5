"""From the pixels of every raster to the finished window."""

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.plan import PendingPatch, PendingWindow
from factory_pipeline.cog.reader import ReadWindow
from factory_pipeline.cog.resample import Mask


def assemble(window: PendingWindow) -> ReadWindow:
    """Resample every source of a window whose blocks are all there; the first with data at a pixel wins."""
    shape = window.read.grid.shape
    answers = [patch.sampling.apply(*lay_together(patch, window.dtype)) for patch in window.patches]
    if len(answers) == 1:
        return answers[0]
    values: NDArray[np.generic] = np.zeros(shape, window.dtype)
    valid = np.zeros(shape, np.bool_)
    for answer in reversed(answers):
        np.copyto(values, answer.values, where=answer.valid)
        valid |= answer.valid
    return ReadWindow(values, valid)


def lay_together(patch: PendingPatch, dtype: np.dtype) -> tuple[NDArray[np.generic], Mask]:
    """The tiles of one pixel grid as one array and where they hold data; the first that does so wins."""
    first = patch.tiles[0]
    if len(patch.tiles) == 1 and first.values.shape == patch.shape:
        return first.values.astype(dtype, copy=False), first.valid
    laid: NDArray[np.generic] = np.zeros(patch.shape, dtype)
    holds = np.zeros(patch.shape, np.bool_)
    for tile in reversed(patch.tiles):
        height, width = tile.values.shape
        place = np.s_[tile.patch_row : tile.patch_row + height, tile.patch_column : tile.patch_column + width]
        tile_valid = tile.valid
        here: NDArray[np.bool_] = np.ones(tile.values.shape, np.bool_) if tile_valid is None else tile_valid
        np.copyto(laid[place], tile.values, where=here)
        holds[place] |= here
    return laid, None if holds.all() else holds
