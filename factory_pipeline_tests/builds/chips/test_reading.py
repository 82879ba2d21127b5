"""An archive that is away stops a batch; a raster that is at fault does not."""

from collections.abc import Sequence

import numpy as np
import pytest

from factory_pipeline.builds.chips.reading import read_batch, read_windows, stack_windows
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, TakeAnswer, WindowRead
from factory_pipeline.errors import SourceUnavailableError

WINDOW = ReadWindow(np.ones((2, 2), np.uint8), np.ones((2, 2), np.bool_))
READ = WindowRead(("a.tif",), Grid(32633, 0, 0, 10, 10, 2, 2))


class _Answers:
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
    return read_batch(_Answers(*answers), [READ] * len(answers))


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
    busy = failure(transient=True)
    assert read_windows(_Answers(busy), [READ]) == [busy]


def test_windows_are_stacked_in_their_order() -> None:
    other = ReadWindow(np.full((2, 2), 7, np.uint8), np.zeros((2, 2), np.bool_))
    values, valid = stack_windows([WINDOW, other], 2)
    assert (values.dtype, values[:, 0, 0].tolist(), valid[:, 0, 0].tolist()) == (
        np.uint8,
        [1, 7],
        [True, False],
    )
    values, valid = stack_windows([], 2)
    assert (values.shape, valid.shape) == ((0, 2, 2), (0, 2, 2))
