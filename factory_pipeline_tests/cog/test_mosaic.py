"""Windows from parts of several rasters: the first with data at a pixel wins."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid, GridStack
from factory_pipeline.cog.header import RasterLayout
from factory_pipeline.cog.mosaic import assemble, mosaic_tiles
from factory_pipeline.cog.reader import ReadFailure, ReadStack, Resampling
from factory_pipeline.cog.source_windows import batch_windows
from factory_pipeline.cog.window_stack import PendingPatch, PendingStack, TilePixels

SHAPE = 3, 4
NOTHING = 0.0


def layout(grid: Grid, dtype: Any = np.float32) -> RasterLayout:
    none = np.zeros(1, np.int64)
    return RasterLayout(
        "a.tif", grid, np.dtype(dtype), None, 99, 99, 99, 1, 1, none, none, 0, lambda *_: np.zeros(0), None
    )


def patch(stack: PendingStack, window: Grid, *tiles: NDArray[Any]) -> PendingPatch:
    """Tiles that cover the window exactly; NOTHING is their value without data."""
    [batch] = batch_windows(GridStack.of([window]), [window], Resampling.NEAREST)
    [sampling] = batch.samplings
    assert sampling is not None
    at = np.zeros(1, np.intp)
    made = [TilePixels(stack, layout(window), at, at, tile.shape, 0, NOTHING, tile[None]) for tile in tiles]
    return PendingPatch(sampling, made)


WINDOW = Grid(32633, 0, 0, 10, 10, SHAPE[1], SHAPE[0])
TILES = st.lists(
    st.lists(st.integers(0, 3), min_size=12, max_size=12).map(lambda v: np.float32(v).reshape(SHAPE)),
    min_size=1,
    max_size=3,
)


def first_with_data(tiles: list[NDArray[Any]]) -> NDArray[Any]:
    """As it is defined: pixel by pixel."""
    return np.array(
        [
            next((v for v in at if v != NOTHING), NOTHING)
            for at in zip(*(t.ravel() for t in tiles), strict=True)
        ]
    ).reshape(SHAPE)


@given(TILES)
def test_the_first_tile_with_data_wins(tiles: list[NDArray[np.float32]]) -> None:
    stack = PendingStack(np.arange(1), SHAPE, np.dtype(np.float32))
    values, valid = mosaic_tiles(patch(stack, WINDOW, *tiles), np.dtype(np.float64))
    expected = first_with_data(tiles)
    holds = np.ones((1, *SHAPE), bool) if valid is None else valid
    assert values.dtype == np.float64
    np.testing.assert_array_equal(np.where(holds, values, NOTHING)[0], expected)
    np.testing.assert_array_equal(holds[0], expected != NOTHING)


@given(TILES)
def test_the_first_source_with_data_wins(tiles: list[NDArray[np.float32]]) -> None:
    stack = PendingStack(np.arange(1), SHAPE, np.dtype(np.float32))
    stack.patches += [patch(stack, WINDOW, tile) for tile in tiles]
    [(positions, answer)] = assemble(stack)
    assert isinstance(answer, ReadStack)
    assert positions.tolist() == [0]
    [values], [valid] = answer.values, answer.valid
    expected = first_with_data(tiles)
    np.testing.assert_array_equal(valid, expected != NOTHING)
    np.testing.assert_array_equal(values[valid], expected[valid])


def test_a_window_that_failed_fails_alone() -> None:
    stack = PendingStack(np.array([7, 5]), SHAPE, np.dtype(np.float32))
    [batch] = batch_windows(GridStack.of([WINDOW, WINDOW]), [WINDOW], Resampling.NEAREST)
    [sampling] = batch.samplings
    assert sampling is not None
    at, pixels = np.zeros(2, np.intp), np.ones((2, *SHAPE), np.float32)
    stack.patches.append(
        PendingPatch(sampling, [TilePixels(stack, layout(WINDOW), at, at, SHAPE, 0, None, pixels)])
    )
    failure = ReadFailure("a.tif", "a.tif is broken.", transient=False)
    stack.failures[0] = failure
    [(failed, why), (read, answer)] = assemble(stack)
    assert (failed.tolist(), why) == ([7], failure)
    assert isinstance(answer, ReadStack)
    assert (read.tolist(), answer.values.shape) == ([5], (1, *SHAPE))
    stack.failures[1] = failure
    [(failed, why)] = assemble(stack)
    assert (failed.tolist(), why) == ([7, 5], failure)
