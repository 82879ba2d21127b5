"""Windows that are read in stacks are those that are read one by one."""

from collections.abc import Sequence

import numpy as np

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import (
    Indices,
    ReadFailure,
    ReadStack,
    ReadWindow,
    Resampling,
    WindowRead,
    WindowReader,
    one_by_one,
    stack_reads,
)

GRID = Grid(32633, 0, 0, 10, 10, 100, 100)
FAILURE = ReadFailure("b.tif", "It is broken.", transient=False)


def read(href: str, row: int, size: int = 4, resampling: Resampling = Resampling.NEAREST) -> WindowRead:
    return WindowRead((href,), GRID.window(row, 3, size, size), resampling, band=2, nodata=5.0)


READS = [read("a.tif", 7), read("b.tif", 7), read("a.tif", 2), read("b.tif", 2), read("a.tif", 1, size=6)]


class _Reader(WindowReader):
    """Answers with the window's top, and fails one file."""

    def __init__(self) -> None:
        self.asked: list[WindowRead] = []

    def read(self, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
        self.asked += reads
        return [
            FAILURE
            if "b.tif" in read.hrefs
            else ReadWindow(np.full(read.grid.shape, read.grid.top), np.ones(read.grid.shape, np.bool_))
            for read in reads
        ]


def test_windows_of_the_same_assets_that_differ_in_position_alone_are_a_stack() -> None:
    stacks = stack_reads(READS, first_position=10)
    assert [(stack.hrefs[0], stack.positions.tolist()) for stack in stacks] == [
        ("a.tif", [10, 12]),
        ("b.tif", [11, 13]),
        ("a.tif", [14]),
    ]
    assert stacks[0].windows is stacks[1].windows, "what is computed for them is shared"
    for stack in stacks:
        assert stack.reads() == [READS[position - 10] for position in stack.positions]
    assert stacks[0].take(np.array([1])).reads() == [READS[2]]


def test_options_that_differ_are_other_stacks() -> None:
    reads = [read("a.tif", 7), read("a.tif", 7, resampling=Resampling.BILINEAR)]
    assert [stack.reads() for stack in stack_reads(reads)] == [[reads[0]], [reads[1]]]


def test_a_reader_of_single_windows_reads_stacks_in_the_order_of_their_positions() -> None:
    reader = _Reader()
    taken: dict[int, ReadWindow | ReadFailure] = {}

    def take(positions: Indices, answer: ReadStack | ReadFailure) -> None:
        taken.update(one_by_one(positions, answer))

    reader.read_stacks(stack_reads(READS), take)
    assert reader.asked == READS
    assert sorted(taken) == list(range(len(READS)))
    for position, wanted in enumerate(READS):
        answer = taken[position]
        if "b.tif" in wanted.hrefs:
            assert answer == FAILURE
        else:
            assert isinstance(answer, ReadWindow)
            assert answer.valid.shape == wanted.grid.shape
            assert (answer.values == wanted.grid.top).all()
