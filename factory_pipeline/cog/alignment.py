"""Where the pixel centres of a window lie in the pixels of another grid."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from factory_pipeline.cog.grid import Grid

WHOLE_PIXEL = 1e-3
"""Grids share their pixels where they are a whole number of pixels apart, within this part of a pixel.

Tiles of one product miss it by 1e-7 (degrees rounded in their headers); a third of a pixel is another grid.
"""
_NODES = 5
_NODE_ERROR = 1e-8
"""Largest error of interpolated positions, in pixels of the source."""

Pair = tuple[Grid, Grid]
"""A window and the grid that it is read from."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """The positions of a window's pixel centres: 0.5 is the centre of the source's first pixel.

    Where both grids have the same CRS a column has one position for all rows and the arrays are (width,)
    and (height,); otherwise both are (height, width), not finite where a point can't be projected.
    """

    columns: NDArray[np.float64]
    rows: NDArray[np.float64]
    offset: tuple[int, int] | None
    """Row and column of the window's first pixel in the source where the pixels coincide, else None."""

    @property
    def is_separable(self) -> bool:
        """True where columns and rows are independent of each other."""
        return self.columns.ndim == 1


def align(pairs: Iterable[Pair]) -> dict[Pair, Alignment]:
    """The alignment of many windows at once; those in another CRS are projected together."""
    alignments: dict[Pair, Alignment] = {}
    projected: dict[tuple[int, Grid], list[Grid]] = {}
    for pair in dict.fromkeys(pairs):
        window, source = pair
        if window.epsg == source.epsg:
            alignments[pair] = _align_same_crs(window, source)
        else:
            projected.setdefault((window.epsg, source), []).append(window)
    for (_, source), windows in projected.items():
        for window, alignment in zip(windows, _align_projected(windows, source), strict=True):
            alignments[window, source] = alignment
    return alignments


def pixel_offset(window: Grid, source: Grid) -> tuple[int, int] | None:
    """Row and column of the window's first pixel in the source; None where the pixels don't coincide."""
    if (
        window.epsg != source.epsg
        or not math.isclose(window.x_size, source.x_size, rel_tol=1e-9)
        or not math.isclose(window.y_size, source.y_size, rel_tol=1e-9)
    ):
        return None
    column = (window.left - source.left) / source.x_size
    row = (source.top - window.top) / source.y_size
    if max(abs(column - round(column)), abs(row - round(row))) > WHOLE_PIXEL:
        return None
    if turn := _turn(source):
        column -= turn * round(column / turn)
    return round(row), round(column)


def _align_same_crs(window: Grid, source: Grid) -> Alignment:
    columns, rows = _positions(*_pixel_centres(window), source)
    return Alignment(columns, rows, pixel_offset(window, source))


def _pixel_centres(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x of every column and y of every row."""
    columns: NDArray[np.float64] = np.arange(grid.width, dtype=np.float64) + 0.5
    rows: NDArray[np.float64] = np.arange(grid.height, dtype=np.float64) + 0.5
    return grid.left + columns * grid.x_size, grid.top - rows * grid.y_size


def _positions(
    x: NDArray[np.float64], y: NDArray[np.float64], source: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows of points in the source's CRS, rounded as GDAL's inverse geotransform rounds."""
    columns = -source.left / source.x_size + x * (1 / source.x_size)
    rows = source.top / source.y_size + y * (-1 / source.y_size)
    if turn := _turn(source):
        # A window over the 180th meridian lies on both sides of the source's columns.
        columns = columns - turn * np.round((columns - source.width / 2) / turn)
    return columns, rows


def _align_projected(windows: list[Grid], source: Grid) -> Iterator[Alignment]:
    """Project a few nodes of each window and interpolate; all pixels where that is not exact enough.

    A map projection is so smooth that over the 320 m of a window a polynomial of degree 4 is exact to
    1e-12 m, with 30 projected points in place of 1024. Five points, the corners among them, check it.
    """
    spots = np.concatenate([list(itertools.product(_nodes(), _nodes())), _check_points()])
    lefts, tops, widths, heights = np.array(
        [(w.left, w.top, w.width * w.x_size, w.height * w.y_size) for w in windows]
    ).T[..., None]
    transform = transformer(windows[0].epsg, source.epsg).transform
    x, y = transform(lefts + spots[:, 1] * widths, tops - spots[:, 0] * heights)
    columns, rows = _positions(np.asarray(x), np.asarray(y), source)
    exact = _interpolates(columns) & _interpolates(rows)
    for place, window in enumerate(windows):
        if exact[place]:
            down, across = _basis_of_pixels(window.height), _basis_of_pixels(window.width).T
            column_nodes, row_nodes = (p[place, : _NODES**2].reshape(_NODES, _NODES) for p in (columns, rows))
            yield Alignment(down @ column_nodes @ across, down @ row_nodes @ across, None)
        else:
            yield _projected_exactly(window, source)


def _interpolates(positions: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which windows' check points are met by interpolation. `positions` is (windows, nodes and checks)."""
    with np.errstate(invalid="ignore"):
        errors = positions[:, : _NODES**2] @ _basis_of_checks() - positions[:, _NODES**2 :]
        return np.asarray((np.abs(errors) <= _NODE_ERROR).all(axis=1))


def _projected_exactly(window: Grid, source: Grid) -> Alignment:
    x, y = np.meshgrid(*_pixel_centres(window))
    x, y = transformer(window.epsg, source.epsg).transform(x, y)
    return Alignment(*_positions(np.asarray(x), np.asarray(y), source), None)


@lru_cache(maxsize=256)
def transformer(source_epsg: int, target_epsg: int) -> Transformer:
    """From one CRS to another, in the order x, y."""
    return Transformer.from_crs(source_epsg, target_epsg, always_xy=True)


@lru_cache(maxsize=256)
def _is_geographic(epsg: int) -> bool:
    return bool(CRS.from_epsg(epsg).is_geographic)


def _turn(grid: Grid) -> int | None:
    """Columns around the earth where columns are degrees of longitude, else None."""
    return round(360 / grid.x_size) if _is_geographic(grid.epsg) else None


@lru_cache(maxsize=1)
def _nodes() -> NDArray[np.float64]:
    """Chebyshev nodes on the unit interval."""
    return (1 - np.cos((2 * np.arange(_NODES) + 1) * np.pi / (2 * _NODES))) / 2


@lru_cache(maxsize=1)
def _check_points() -> NDArray[np.float64]:
    """(points, 2) rows and columns on the unit square: the corners, and one between the nodes."""
    return np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.36, 0.64)])


def _lagrange(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(points, nodes): weight of each node's value at each point, by Lagrange's formula."""
    nodes = _nodes()
    weights = np.ones((len(at), _NODES))
    for one, other in itertools.permutations(range(_NODES), 2):
        weights[:, one] *= (at - nodes[other]) / (nodes[one] - nodes[other])
    return weights


@lru_cache(maxsize=64)
def _basis_of_pixels(count: int) -> NDArray[np.float64]:
    return _lagrange((np.arange(count) + 0.5) / count)


@lru_cache(maxsize=1)
def _basis_of_checks() -> NDArray[np.float64]:
    """(nodes squared, check points)."""
    down, across = _lagrange(_check_points()[:, 0]), _lagrange(_check_points()[:, 1])
    return np.einsum("pi,pj->ijp", down, across).reshape(_NODES**2, -1)
