"""Reading windows of raster assets on a grid: the one interface, whatever engine is behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid


class Resampling(StrEnum):
    """How a pixel of the window is made from the pixels of the asset."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"


@dataclass(frozen=True)
class WindowRead:
    """One window to be read: from which assets, on which grid."""

    hrefs: tuple[str, ...]
    """Unsigned addresses or paths; several are mosaicked, the first that holds data at a pixel wins."""
    grid: Grid
    """The window: CRS, position and shape of the array that comes back."""
    resampling: Resampling = Resampling.NEAREST


@dataclass(frozen=True)
class ReadFailure:
    """Why a window could not be read."""

    href: str
    """The unsigned address that failed."""
    reason: str
    """One sentence for the reject ledger, without credentials."""
    passing: bool
    """True where a later try may succeed (the server is busy or away), False where the asset is at fault."""
    away: bool = False
    """True where its server has stopped answering or giving, so that the assets are not at fault."""
    refused: bool = False
    """True where its server said that there is no such file, or that it may not be read."""


@dataclass(frozen=True)
class ReadWindow:
    """What was read."""

    values: NDArray[np.generic]
    """(rows, columns) of the grid, in the asset's dtype; 0 where no asset holds data."""
    valid: NDArray[np.bool_]
    """(rows, columns); False where no asset holds data."""


class WindowReader(Protocol):
    """Reads many windows at once, in an order of its own; each asset's pixels are fetched once if it can."""

    def read(self, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
        """Read all windows; the answers are in the order of `reads`. A failed window fails alone."""
        ...
