"""The central value: a grid of pixels, and windows of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray

WHOLE_PIXEL = 1e-3
"""Grids share their pixels if their offset is a whole number of pixels, within this fraction of a pixel.

Tiles of one product miss it by 1e-7 (degrees rounded in their headers); a third of a pixel is another grid.
"""


@dataclass(frozen=True)
class Grid:
    """A north-up grid of pixels (CRS, affine, shape): the position of every pixel of an array.

    Immutable and hashable.
    """

    epsg: int
    """EPSG code of the coordinate reference system."""
    left: float
    """x of the left edge of the first column, in units of the CRS."""
    top: float
    """y of the top edge of the first row."""
    x_size: float
    """Width of a pixel in units of the CRS, positive."""
    y_size: float
    """Height of a pixel in units of the CRS, positive (rows run from north to south)."""
    width: int
    """Columns."""
    height: int
    """Rows."""

    @classmethod
    def from_transform(cls, epsg: int, transform: Affine, width: int, height: int) -> "Grid":
        """Return the grid of a raster with this affine transform.

        Args:
            epsg: EPSG code of the CRS.
            transform: from (column, row) of a pixel's corner to (x, y).
            width: pixels.
            height: pixels.

        Raises:
            ValueError: the transform is rotated or not north-up.
        """
        if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
            raise ValueError(f"only north-up grids are supported, not {transform!r}")
        return cls(epsg, transform.c, transform.f, transform.a, -transform.e, width, height)

    @property
    def transform(self) -> Affine:
        """Affine transform from (column, row) to (x, y)."""
        return Affine(self.x_size, 0.0, self.left, 0.0, -self.y_size, self.top)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        return (
            self.left,
            self.top - self.height * self.y_size,
            self.left + self.width * self.x_size,
            self.top,
        )

    @property
    def columns_around_earth(self) -> float:
        """The columns of 360 degrees, where columns are degrees of longitude.

        Whole where they miss a whole number by no more than WHOLE_PIXEL.
        """
        columns = 360 / self.x_size
        return round(columns) if abs(columns - round(columns)) <= WHOLE_PIXEL else columns

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.height, self.width

    def window(self, row: int, column: int, height: int, width: int) -> "Grid":
        """Return the part of the grid that starts at [row, column]; it may extend beyond the grid.

        Args:
            row: of the part's first pixel; may be negative.
            column: of the part's first pixel; may be negative.
            height: pixels.
            width: pixels.
        """
        return Grid(
            self.epsg,
            self.left + column * self.x_size,
            self.top - row * self.y_size,
            self.x_size,
            self.y_size,
            width,
            height,
        )

    def padded(self, pixels: int) -> "Grid":
        """Return the same grid with `pixels` more pixels on each side."""
        return self.window(-pixels, -pixels, self.height + 2 * pixels, self.width + 2 * pixels)


@dataclass(frozen=True, eq=False)
class GridStack:
    """Grids that differ only in their position."""

    like: Grid
    """One of them: CRS, pixels and shape are those of all."""
    left: NDArray[np.float64]
    """(grids,) as `Grid.left`."""
    top: NDArray[np.float64]
    """(grids,) as `Grid.top`."""

    @classmethod
    def of(cls, grids: Sequence[Grid]) -> "GridStack":
        """Stack one or more grids that differ only in their position."""
        left, top = np.array([(grid.left, grid.top) for grid in grids]).T
        return cls(grids[0], left, top)

    def __len__(self) -> int:
        return len(self.left)

    def __iter__(self) -> Iterator[Grid]:
        for left, top in zip(self.left.tolist(), self.top.tolist(), strict=True):
            yield replace(self.like, left=left, top=top)

    def take(self, members: NDArray[np.intp] | slice) -> "GridStack":
        """Return some of the grids."""
        return GridStack(self.like, self.left[members], self.top[members])


def transforms_of(grids: Sequence[Grid]) -> NDArray[np.float64]:
    """Return the affine transforms of grids, (grids, 9), each row by row as `Grid.transform`."""
    rows = [(grid.x_size, 0, grid.left, 0, -grid.y_size, grid.top, 0, 0, 1) for grid in grids]
    return np.array(rows, np.float64).reshape(-1, 9)
