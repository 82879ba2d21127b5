"""Reading windows of raster assets on a grid: the interface of all engines."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid, GridStack

Indices = NDArray[np.intp]


class Resampling(StrEnum):
    """How a pixel of the window is computed from the pixels of the asset."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"


@dataclass(frozen=True)
class WindowRead:
    """A window to read: its assets and its grid."""

    hrefs: tuple[str, ...]
    """Unsigned addresses or paths; several are mosaicked, the first with data at a pixel wins."""
    grid: Grid
    """The window: CRS, position and shape of the array that is returned."""
    resampling: Resampling = Resampling.NEAREST
    band: int = 1
    """Band of the assets, counted from 1."""
    nodata: float | None = None
    """The stored value without data, whatever the files say; None takes what each file says."""
    default_nodata: float | None = None
    """The same of those files that say nothing."""


@dataclass(frozen=True, eq=False)
class StackRead:
    """Windows to read of the same assets in the same way: a `WindowRead` for each of them, as arrays."""

    hrefs: tuple[str, ...]
    """As `WindowRead.hrefs`."""
    windows: GridStack
    """Reads that have one `GridStack` in common share what is planned and computed for its windows."""
    positions: Indices
    """(windows,) index of each window among all that are read, by which its pixels are handed over."""
    resampling: Resampling = Resampling.NEAREST
    band: int = 1
    nodata: float | None = None
    default_nodata: float | None = None

    def reads(self) -> list[WindowRead]:
        """Return the windows one by one."""
        options = self.resampling, self.band, self.nodata, self.default_nodata
        return [WindowRead(self.hrefs, grid, *options) for grid in self.windows]

    def take(self, members: Indices) -> "StackRead":
        """Return some of the windows."""
        return replace(self, windows=self.windows.take(members), positions=self.positions[members])


def stack_reads(reads: Sequence[WindowRead], first_position: int = 0) -> list[StackRead]:
    """Stack windows that are read of the same assets in the same way and differ only in their position.

    Args:
        reads: any number.
        first_position: position of the first of them; the others' follow.
    """
    kinds: dict[tuple[Any, ...], list[int]] = {}
    for number, read in enumerate(reads):
        grid, options = read.grid, (read.resampling, read.band, read.nodata, read.default_nodata)
        like = grid.epsg, grid.x_size, grid.y_size, grid.shape
        kinds.setdefault((read.hrefs, options, like), []).append(number)
    # Bands of one product have the same windows, and share what is computed for them.
    known: dict[tuple[Any, ...], GridStack] = {}
    stacks = []
    for (hrefs, options, like), numbers in kinds.items():
        grids = GridStack.of([reads[number].grid for number in numbers])
        grids = known.setdefault((like, grids.left.tobytes(), grids.top.tobytes()), grids)
        stacks.append(StackRead(hrefs, grids, first_position + np.array(numbers, np.intp), *options))
    return stacks


@dataclass(frozen=True)
class ReadFailure:
    """Why a window could not be read."""

    href: str
    """The unsigned address that failed."""
    reason: str
    """One sentence for the reject ledger, without credentials."""
    transient: bool
    """True if a later attempt may succeed (the server is busy or unavailable), False if the asset is at
    fault.
    """
    unavailable: bool = False
    """True if its server has stopped responding or refuses everything, so the assets are not at fault."""
    refused: bool = False
    """True if its server responded that the file does not exist, or that access is denied."""


@dataclass(frozen=True)
class ReadWindow:
    """The pixels of a window."""

    values: NDArray[np.generic]
    """(rows, columns) of the grid, in the asset's dtype; 0 where no asset holds data."""
    valid: NDArray[np.bool_]
    """(rows, columns); False where no asset holds data."""


@dataclass(frozen=True, eq=False)
class ReadStack:
    """The pixels of several windows."""

    values: NDArray[np.generic]
    """(windows, rows, columns), as `ReadWindow.values`."""
    valid: NDArray[np.bool_]
    """(windows, rows, columns), as `ReadWindow.valid`."""


TakeAnswer = Callable[[int, ReadWindow | ReadFailure], None]
"""Takes the answer of the read with this index; it may be called by several threads at a time."""
TakeStack = Callable[[Indices, ReadStack | ReadFailure], None]
"""Takes the pixels of the windows at these positions, or why none of them can be read; it may be called by
several threads at a time."""


def one_by_one(
    positions: Indices, answer: ReadStack | ReadFailure
) -> Iterator[tuple[int, ReadWindow | ReadFailure]]:
    """Yield position and answer of every window of a stack.

    Args:
        positions: (windows,).
        answer: pixels of the windows, or why none of them can be read.
    """
    if isinstance(answer, ReadFailure):
        yield from ((position, answer) for position in positions.tolist())
    else:
        for position, values, valid in zip(positions.tolist(), answer.values, answer.valid, strict=True):
            yield position, ReadWindow(values, valid)


class WindowReader(Protocol):
    """Reads many windows at once, in any order; an engine fetches each asset's pixels once if it can.

    A class that derives from it needs `read` alone.
    """

    def read_headers(self, hrefs: Iterable[str]) -> None:
        """Prepare for reads of these rasters, all at the same time.

        Args:
            hrefs: unsigned addresses; what can't be read is left to the reads.
        """
        del hrefs  # most readers have nothing to prepare

    def read(self, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
        """Read all windows; the answers are in the order of `reads`. A failed window fails alone."""
        ...

    def read_each(self, reads: Sequence[WindowRead], take: TakeAnswer) -> None:
        """Read all windows; each answer is handed over as soon as it is known, and then forgotten.

        Args:
            reads: any number.
            take: is given every answer once, in any order.
        """
        for position, answer in enumerate(self.read(reads)):
            take(position, answer)

    def read_stacks(self, stacks: Sequence[StackRead], take: TakeStack) -> None:
        """Read all windows of stacks; as `read_each`, but windows that are finished together are one answer.

        Args:
            stacks: any number; every window has a position of its own.
            take: is given every position once, in any order.
        """
        reads = {
            position: read
            for stack in stacks
            for position, read in zip(stack.positions.tolist(), stack.reads(), strict=True)
        }
        positions = sorted(reads)

        def hand_over(number: int, answer: ReadWindow | ReadFailure) -> None:
            if isinstance(answer, ReadWindow):
                take(np.array([positions[number]]), ReadStack(answer.values[None], answer.valid[None]))
            else:
                take(np.array([positions[number]]), answer)

        self.read_each([reads[position] for position in positions], hand_over)
