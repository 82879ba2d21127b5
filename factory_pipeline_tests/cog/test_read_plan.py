"""From windows to blocks: which are read, with how many requests, and for whom."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.header import RasterLayout
from factory_pipeline.cog.read_plan import group_tiles, merge_blocks, plan_reads, rows_of_top
from factory_pipeline.cog.reader import Resampling, WindowRead, stack_reads
from factory_pipeline_tests.cog.factories import layout_of, random_values, write_raster

BLOCK, COUNT = 32, 128
"""Pixels a side of a block and of a raster of 4 x 4 blocks."""


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> RasterLayout:
    path = tmp_path_factory.mktemp("plan") / "a.tif"
    return layout_of(write_raster(path, random_values((COUNT, COUNT))))[0]


def made_layout(grid: Grid, offsets: list[int], counts: list[int], **more: Any) -> RasterLayout:
    options: dict[str, Any] = {"decode_top": None} | more
    return RasterLayout(
        href="made.tif",
        grid=grid,
        dtype=np.dtype(np.uint8),
        nodata=None,
        block_height=BLOCK,
        block_width=BLOCK,
        block_bytes=BLOCK * BLOCK,
        bands=1,
        bands_in_block=1,
        offsets=np.array(offsets, np.int64),
        byte_counts=np.array(counts, np.int64),
        file_size=10**9,
        decode=lambda *_: np.zeros(0),
        **options,
    )


def test_a_window_needs_the_blocks_that_it_touches_and_no_other(raster: RasterLayout) -> None:
    reads = [
        WindowRead((raster.href,), raster.grid.window(0, 0, 10, 10)),
        WindowRead((raster.href,), raster.grid.window(30, 60, 10, 10)),
    ]
    plan = plan_reads(stack_reads(reads), {raster.href: raster})
    assert sorted(plan.uses[raster]) == [0, 1, 2, 5, 6]
    assert sum(stack.blocks_missing for stack in plan.stacks) == 5
    assert sorted(position for stack in plan.stacks for position in stack.positions) == [0, 1]


def test_windows_outside_need_nothing(raster: RasterLayout) -> None:
    plan = plan_reads(
        stack_reads([WindowRead((raster.href,), raster.grid.window(5000, 0, 8, 8), Resampling.BILINEAR)]),
        {raster.href: raster},
    )
    assert plan.uses.get(raster, {}) == {}
    assert [stack.blocks_missing for stack in plan.stacks] == [0]


def test_the_value_without_data_of_the_read_goes_before_that_of_the_file(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_values((COUNT, COUNT)), nodata=9)
    layout, _ = layout_of(path)
    window = layout.grid.window(0, 0, 8, 8)
    reads = [WindowRead((path,), window), WindowRead((path,), window, nodata=5.0)]
    plan = plan_reads(stack_reads(reads), {path: layout})
    by_position = {int(stack.positions[0]): stack.patches[0].tiles[0].nodata for stack in plan.stacks}
    assert by_position == {0: 9, 1: 5.0}


def test_rasters_that_share_their_pixels_are_one_group() -> None:
    west, east = Grid(32633, 0, 0, 10, 10, 64, 32), Grid(32633, 640, 160, 10, 10, 32, 48)
    shifted = Grid(32633, 3, 0, 10, 10, 64, 32)
    layouts = [made_layout(grid, [0], [0]) for grid in (west, shifted, east)]
    together, alone = group_tiles(layouts)
    assert together.tiles == ((layouts[0], 16, 0), (layouts[2], 0, 64))
    assert together.grid == Grid(32633, 0, 160, 10, 10, 96, 48)
    assert alone.tiles == ((layouts[1], 0, 0),)
    assert alone.grid == shifted


GRID = Grid(32633, 0, 0, 10, 10, BLOCK * 4, BLOCK)


@pytest.mark.parametrize(
    ("offsets", "requests"),
    [
        ([0, 108, 216, 324], [[0, 1, 2, 3]]),
        ([0, 108, 5000, 5108], [[0, 1], [2, 3]]),
        ([324, 216, 108, 0], [[3, 2, 1, 0]]),
        ([0, 2000, 4000, 6000], [[0], [1], [2], [3]]),
    ],
)
def test_neighbours_in_the_file_are_one_request(offsets: list[int], requests: list[list[int]]) -> None:
    layout = made_layout(GRID, offsets, [100] * 4)
    runs = list(merge_blocks(layout, {block: [] for block in range(4)}))
    assert [list(run.blocks) for run in runs] == requests
    for run in runs:
        ends = [layout.offsets[block] + layout.byte_counts[block] for block in run.blocks]
        starts = [layout.offsets[block] for block in run.blocks]
        assert (run.start, run.start + run.length) == (min(starts), max(ends))
        alone = run.of_whole(requests[runs.index(run)][0])
        assert (alone.length, len(alone.blocks)) == (100, 1)


def test_no_request_is_larger_than_a_megabyte_unless_a_block_is() -> None:
    size = 400_000
    layout = made_layout(GRID, [0, size, 2 * size, 3 * size], [size, size, size, 3 * 2**20])
    lengths = [run.length for run in merge_blocks(layout, {block: [] for block in range(4)})]
    assert lengths == [2 * size, size, 3 * 2**20]


def test_only_the_top_of_a_block_is_decoded_where_it_suffices(raster: RasterLayout) -> None:
    def rows(height: int, layout: RasterLayout) -> int | None:
        reads = [WindowRead((layout.href,), layout.grid.window(0, 0, height, 8))]
        uses = plan_reads(stack_reads(reads), {layout.href: layout}).uses[layout]
        return rows_of_top(layout, 0, uses[0])

    partly = made_layout(raster.grid, [1] * 16, [1] * 16, decode_top=lambda *_: np.zeros(0))
    assert rows(8, partly) == 8
    assert rows(30, partly) is None, "nearly the whole block is decoded whole"
    assert rows(8, made_layout(raster.grid, [1] * 16, [1] * 16)) is None


def test_windows_with_larger_pixels_are_left_out(raster: RasterLayout) -> None:
    fine = raster.grid.window(0, 0, 8, 8)
    coarse = replace(fine, x_size=2 * fine.x_size, y_size=2 * fine.y_size)
    reads = [WindowRead((raster.href,), grid, Resampling.BILINEAR) for grid in (coarse, fine, coarse)]
    plan = plan_reads(stack_reads(reads), {raster.href: raster})
    assert [stack.positions.tolist() for stack in plan.stacks] == [[1]]
    assert [read.positions.tolist() for read in plan.left_out] == [[0, 2]]
