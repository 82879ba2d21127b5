"""Reading windows of raster assets on a grid: the interface of all engines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid


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


TakeAnswer = Callable[[int, ReadWindow | ReadFailure], None]
"""Takes the answer of the read with this index; it may be called by several threads at a time."""


class WindowReader(Protocol):
    """Reads many windows at once, in any order; an engine fetches each asset's pixels once if it can.

    A class that derives from it needs `read` alone.
    """

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
