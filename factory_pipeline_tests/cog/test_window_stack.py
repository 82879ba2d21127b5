"""Parts of windows that are filled block by block."""

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.header import RasterLayout
from factory_pipeline.cog.window_stack import PendingStack, TilePixels

RASTER = np.arange(40 * 50, dtype=np.float32).reshape(40, 50)
BLOCK = 16


def layout(sparse: tuple[int, ...] = ()) -> RasterLayout:
    counts = np.full(3 * 4, 100)
    counts[list(sparse)] = 0
    return RasterLayout(
        "a.tif",
        Grid(32633, 0, 0, 10, 10, 50, 40),
        RASTER.dtype,
        None,
        BLOCK,
        BLOCK,
        BLOCK * BLOCK * 4,
        1,
        1,
        np.arange(12) * 100,
        counts,
        10_000,
        lambda *_: RASTER,
        None,
    )


def pixels(
    *firsts: tuple[int, int],
    shape: tuple[int, int] = (10, 12),
    sparse: tuple[int, ...] = (),
    nodata: float | None = None,
) -> TilePixels:
    rows, columns = np.array(firsts).T
    stack = PendingStack(np.arange(len(firsts)), shape, RASTER.dtype)
    return TilePixels(stack, layout(sparse), rows, columns, shape, 0, nodata)


def block_pixels(block: int) -> NDArray[np.float32]:
    padded = np.pad(RASTER, ((0, 8), (0, 14)), constant_values=-7)
    row, column = divmod(block, 4)
    return padded[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK, None]


def fill(tile: TilePixels) -> None:
    for block, members in tile.needed_blocks():
        tile.take(block, block_pixels(block), members)


def test_each_window_gets_its_pixels_from_all_blocks_that_it_touches() -> None:
    tile = pixels((3, 4), (14, 10), (30, 38))
    assert {block: members.tolist() for block, members in tile.needed_blocks()} == {
        0: [0, 1],
        1: [1],
        4: [1],
        5: [1],
        6: [2],
        7: [2],
        10: [2],
        11: [2],
    }
    fill(tile)
    for window, (row, column) in zip(tile.values, ((3, 4), (14, 10), (30, 38)), strict=True):
        assert np.array_equal(window, RASTER[row : row + 10, column : column + 12])
    assert tile.valid is None


def test_pixels_beyond_the_raster_are_not_valid() -> None:
    tile = pixels((-4, 45))
    fill(tile)
    valid = tile.valid
    assert valid is not None
    assert valid[0].sum() == 6 * 5
    assert np.array_equal(tile.values[0, 4:, :5], RASTER[:6, 45:])


def test_no_data_and_nan_are_not_valid() -> None:
    tile = pixels((0, 0), nodata=51)
    fill(tile)
    tile.values[0, 5, 5] = np.nan
    valid = tile.valid
    assert valid is not None
    assert np.argwhere(~valid[0]).tolist() == [[1, 1], [5, 5]]


def test_sparse_blocks_are_not_needed_and_windows_outside_need_none() -> None:
    assert [block for block, _ in pixels((14, 10), sparse=(1, 4)).needed_blocks()] == [0, 5]
    assert list(pixels((100, 0), (0, -60)).needed_blocks()) == []


def test_only_the_rows_down_to_the_last_window_are_needed() -> None:
    tile = pixels((0, 0), (3, 2), (14, 2))
    assert tile.rows_needed(0, np.array([0])) == 10
    assert tile.rows_needed(0, np.array([0, 1])) == 13
    assert tile.rows_needed(0, np.array([2])) == BLOCK
    assert tile.rows_needed(4, np.array([2])) == 8
