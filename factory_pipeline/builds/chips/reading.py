"""Reading the windows of a batch from archives that may be unavailable."""

from collections.abc import Sequence

from factory_pipeline.cog.reader import (
    Indices,
    ReadFailure,
    ReadStack,
    ReadWindow,
    StackRead,
    TakeAnswer,
    TakeStack,
    WindowRead,
    WindowReader,
)
from factory_pipeline.errors import SourceUnavailableError

UNREADABLE = "asset_unreadable"
"""The reason of a footprint with a window that could not be read."""


def read_windows(reader: WindowReader, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
    """Read windows of a batch.

    Args:
        reader: of the archive.
        reads: any number; results are in their order.

    Raises:
        SourceUnavailableError: a server stopped answering: the batch is to be tried again, for what is lost
            is not the fault of its assets.
    """
    answers = reader.read(reads)
    _check_available([answer for answer in answers if isinstance(answer, ReadFailure)])
    return answers


def read_batch_each(reader: WindowReader, reads: Sequence[WindowRead], take: TakeAnswer) -> None:
    """Read the windows of a whole batch; each is handed over as soon as it is read.

    Args:
        reader: of the archive.
        reads: all of the batch, so that it shows if nothing at all can be read.
        take: as for `WindowReader.read_each`.

    Raises:
        SourceUnavailableError: as `read_windows`, once every window has been handed over; or not one could be
            read, all for reasons that pass or because they are refused: the archive is away or closed, and
            the batch is to be tried again rather than emptied.
    """
    failures = _Failures()

    def note(place: int, answer: ReadWindow | ReadFailure) -> None:
        if isinstance(answer, ReadFailure):
            failures.add(place, answer)
        take(place, answer)

    reader.read_each(reads, note)
    failures.check(len(reads))


def read_stacks(
    reader: WindowReader, stacks: Sequence[StackRead], take: TakeStack, *, is_batch: bool = True
) -> None:
    """Read stacks of windows; those that are finished together are handed over together.

    Args:
        reader: of the archive.
        stacks: any number.
        take: as for `WindowReader.read_stacks`.
        is_batch: whether these are all windows of a batch, so that it shows if nothing at all can be read.

    Raises:
        SourceUnavailableError: as `read_batch_each`; that not one could be read is an error only of a batch.
    """
    failures = _Failures()

    def note(positions: Indices, answer: ReadStack | ReadFailure) -> None:
        if isinstance(answer, ReadFailure):
            for position in positions.tolist():
                failures.add(position, answer)
        take(positions, answer)

    reader.read_stacks(stacks, note)
    failures.check(sum(len(stack.positions) for stack in stacks) if is_batch else None)


class _Failures:
    """The windows of some reads that failed."""

    def __init__(self) -> None:
        self._failed: dict[int, ReadFailure] = {}

    def add(self, position: int, failure: ReadFailure) -> None:
        self._failed[position] = failure

    def check(self, count_of_batch: int | None) -> None:
        """Raise a SourceUnavailableError if the archive is at fault.

        Args:
            count_of_batch: how many windows a batch has; None if the reads are only a part of one.
        """
        failures = [self._failed[position] for position in sorted(self._failed)]
        _check_available(failures)
        if failures and len(failures) == count_of_batch:
            _check_any_readable(failures)


def _check_available(failures: Sequence[ReadFailure]) -> None:
    for failure in failures:
        if failure.unavailable:
            raise SourceUnavailableError(f"{failure.reason.rstrip('.')}; try again later.")


def _check_any_readable(failures: Sequence[ReadFailure]) -> None:
    """Raise a SourceUnavailableError unless the assets are at fault for what failed: all of a batch."""
    none = f"None of the {len(failures)} windows of the batch could be read"
    if all(failure.transient for failure in failures):
        raise SourceUnavailableError(f"{none}; try again later. The first: {failures[0].reason}")
    # One raster may be missing or private; that all are says that access is what is missing.
    refused_rasters = {failure.href for failure in failures if failure.refused}
    if all(failure.refused or failure.transient for failure in failures) and len(refused_rasters) > 1:
        raise SourceUnavailableError(
            f"{none}: all {len(refused_rasters)} rasters are refused. Check the catalog's addresses and your"
            f" credentials, then run the same command again. The first: {failures[0].reason}"
        )
