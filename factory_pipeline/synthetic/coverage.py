"""Which blocks of a raster hold data: those near a footprint."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid
from factory_pipeline.synthetic.geotiff import BlockIndex

MARGIN = 300.0
"""Metres around a footprint in which every pixel holds data: half a window and what resampling needs."""

STRIP_PIXELS = 16384


@dataclass(frozen=True)
class Sites:
    """Places of footprints around which imagery is made."""

    lon: NDArray[np.float64]
    """Degrees."""
    lat: NDArray[np.float64]
    """Degrees."""

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Sites":
        """Return the chosen sites."""
        return Sites(self.lon[chosen], self.lat[chosen])

    def __len__(self) -> int:
        """Return how many."""
        return len(self.lon)

    @property
    def margin_degrees(self) -> tuple[NDArray[np.float64], float]:
        """MARGIN as degrees of longitude (at each site) and latitude."""
        return MARGIN / (111_320.0 * np.cos(np.radians(self.lat))), MARGIN / 110_570.0


def blocks_near(
    grid: Grid,
    block: int,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    margin_x: NDArray[np.float64] | float,
    margin_y: float,
) -> list[BlockIndex]:
    """Return the blocks of the grid that reach into the margin of a site.

    Args:
        grid: north up.
        block: edge of a block in pixels.
        x: (sites,), in the grid's CRS.
        y: (sites,), in the grid's CRS.
        margin_x: in units of the grid's CRS, one for all or one for each site.
        margin_y: in units of the grid's CRS.

    Returns:
        (row, column) of each block, from 0, sorted.
    """
    size_x, size_y = block * grid.x_size, block * grid.y_size
    rows, columns = -(-grid.height // block), -(-grid.width // block)
    first_row = np.floor((grid.top - y - margin_y) / size_y).astype(int)
    last_row = np.floor((grid.top - y + margin_y) / size_y).astype(int)
    first_column = np.floor((x - margin_x - grid.left) / size_x).astype(int)
    last_column = np.floor((x + margin_x - grid.left) / size_x).astype(int)
    corners = np.stack([first_row, last_row, first_column, last_column], axis=1)
    return sorted(
        {
            (row, column)
            for top, bottom, left, right in np.unique(corners, axis=0)
            for row in range(max(top, 0), min(bottom + 1, rows))
            for column in range(max(left, 0), min(right + 1, columns))
        }
    )


def strips(
    grid: Grid, block: int, index: BlockIndex
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield x and y of the centres of a block's pixels, some rows at a time from the top.

    Args:
        grid: north up.
        block: edge of a block in pixels.
        index: row and column of the block.

    Yields:
        Two arrays (rows, block), in the grid's CRS.
    """
    x = grid.left + (index[1] * block + np.arange(block) + 0.5) * grid.x_size
    y = grid.top - (index[0] * block + np.arange(block) + 0.5) * grid.y_size
    step = STRIP_PIXELS // block
    for first in range(0, block, step):
        rows = y[first : first + step]
        yield np.tile(x, (len(rows), 1)), np.repeat(rows[:, np.newaxis], block, axis=1)
