"""An archive that is away stops a batch; a raster that is at fault does not."""

from collections.abc import Sequence

import numpy as np
import pytest

from factory_pipeline.builds.chips.reading import read_batch_each, read_stacks, read_windows
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import (
    ReadFailure,
    ReadWindow,
    TakeAnswer,
    WindowRead,
    WindowReader,
    stack_reads,
)
from factory_pipeline.errors import SourceUnavailableError

WINDOW = ReadWindow(np.ones((2, 2), np.uint8), np.ones((2, 2), np.bool_))
READ = WindowRead(("a.tif",), Grid(32633, 0, 0, 10, 10, 2, 2))


class _Answers(WindowReader):
    """A reader that answers as it is told."""

    def __init__(self, *answers: ReadWindow | ReadFailure) -> None:
        self.answers = list(answers)

    def read(self, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
        assert len(reads) == len(self.answers)
        return self.answers

    def read_each(self, reads: Sequence[WindowRead], take: TakeAnswer) -> None:
        # In any order, as the block engine hands them over.
        for place in reversed(range(len(reads))):
            take(place, self.read(reads)[place])


def failure(
    href: str = "a.tif", *, transient: bool = False, unavailable: bool = False, refused: bool = False
):
    return ReadFailure(href, f"{href} can't be read.", transient, unavailable, refused)


def batch(*answers: ReadWindow | ReadFailure) -> list[ReadWindow | ReadFailure]:
    taken: dict[int, ReadWindow | ReadFailure] = {}
    read_batch_each(_Answers(*answers), [READ] * len(answers), taken.__setitem__)
    return [taken[place] for place in range(len(answers))]


@pytest.mark.parametrize(
    "answers",
    [
        [WINDOW, WINDOW],
        [WINDOW, failure(transient=True)],
        [WINDOW, failure(refused=True), failure("b.tif", refused=True)],
        [failure(), failure("b.tif")],
        [failure(refused=True), failure(refused=True)],
        [failure(refused=True), failure("b.tif")],
        [],
    ],
    ids=[
        "all",
        "one busy",
        "some refused",
        "all damaged",
        "one raster refused",
        "refused and damaged",
        "none",
    ],
)
def test_what_is_the_fault_of_rasters_is_given_back(answers: list[ReadWindow | ReadFailure]) -> None:
    assert batch(*answers) == answers


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([WINDOW, failure(transient=True, unavailable=True)], r"a\.tif can't be read; try again later\."),
        (
            [failure(transient=True), failure("b.tif", transient=True)],
            "None of the 2 windows .* try again later",
        ),
        (
            [failure(refused=True), failure("b.tif", refused=True), failure("c.tif", transient=True)],
            "all 2 rasters are refused. Check the catalog's addresses and your credentials",
        ),
    ],
)
def test_what_is_the_fault_of_the_archive_stops_the_batch(
    answers: list[ReadWindow | ReadFailure], told: str
) -> None:
    with pytest.raises(SourceUnavailableError, match=told):
        batch(*answers)


def test_of_single_windows_only_a_server_that_is_away_counts() -> None:
    busy, away = failure(transient=True), failure("b.tif", transient=True, unavailable=True)
    assert read_windows(_Answers(busy), [READ]) == [busy]
    taken: list[int] = []
    stacks = stack_reads([READ])
    read_stacks(_Answers(busy), stacks, lambda places, _: taken.extend(places), is_batch=False)
    assert taken == [0]
    with pytest.raises(SourceUnavailableError, match="None of the 1 windows"):
        read_stacks(_Answers(busy), stacks, lambda *_: None)
    with pytest.raises(SourceUnavailableError, match=r"b\.tif"):
        read_stacks(_Answers(busy, away), stack_reads([READ] * 2), lambda *_: None, is_batch=False)
