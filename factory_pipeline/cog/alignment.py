"""The positions of the pixel centres of windows in the pixels of another grid."""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import WHOLE_PIXEL, Grid, GridStack
from factory_pipeline.cog.scratch import Scratch
from factory_pipeline.crs_transformer import crs_transformer, is_geographic

_NODES = 5
_NODE_ERROR = 1e-8
"""Largest error of interpolated positions, in pixels of the source."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Alignment:
    """The positions of the pixel centres of windows: 0.5 is the centre of the source's first pixel.

    If both grids have the same CRS, a column has one position for all rows and the arrays are (windows,
    width) and (windows, height); otherwise both are (windows, height, width), not finite where a point can't
    be projected.
    """

    columns: Floats
    rows: Floats
    coincides: NDArray[np.bool_]
    """(windows,) True where the pixels of window and source are the same."""
    offsets: NDArray[np.intp]
    """(windows, 2): row and column of the window's first pixel in the source, where the pixels coincide."""

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def is_separable(self) -> bool:
        """True where columns and rows are independent of each other."""
        return self.columns.ndim == 2

    def take(self, members: NDArray[np.intp] | slice) -> "Alignment":
        """Return the alignment of some of the windows."""
        return Alignment(
            self.columns[members], self.rows[members], self.coincides[members], self.offsets[members]
        )


@dataclass(frozen=True, eq=False)
class Projection:
    """Windows on a source in another CRS, before the positions of all of their pixels are computed.

    A few nodes of each window are projected, from which the others are interpolated: a map projection is so
    smooth that over the 320 m of a window a polynomial of degree 4 is exact to 1e-12 m, with 30 projected
    points in place of 1024. Five points, the corners among them, check it. What is interpolated is not
    kept: it takes 16 kB for a window of 32 x 32, and less time than fresh memory.
    """

    windows: GridStack
    source: Grid
    columns_of_nodes: Floats
    """(windows, nodes and checks) positions in pixels of the source."""
    rows_of_nodes: Floats
    """The same of rows."""

    @classmethod
    def of(cls, windows: GridStack, source: Grid) -> "Projection":
        """Project the nodes of windows.

        Args:
            windows: of one CRS, pixel size and shape.
            source: grid of the raster.
        """
        like = windows.like
        spots = np.concatenate([list(itertools.product(_nodes(), _nodes())), _check_points()])
        x, y = crs_transformer(like.epsg, source.epsg).transform(
            windows.left[:, None] + spots[:, 1] * (like.width * like.x_size),
            windows.top[:, None] - spots[:, 0] * (like.height * like.y_size),
        )
        return cls(windows, source, *_positions(np.asarray(x), np.asarray(y), source))

    def __len__(self) -> int:
        return len(self.columns_of_nodes)

    @property
    def coincides(self) -> NDArray[np.bool_]:
        """False: no pixels are the same."""
        return np.zeros(len(self), np.bool_)

    @property
    def offsets(self) -> NDArray[np.intp]:
        """Zeros, which have no meaning."""
        return np.zeros((len(self), 2), np.intp)

    def take(self, members: NDArray[np.intp] | slice) -> "Projection":
        """Return some of the windows."""
        return Projection(
            self.windows.take(members),
            self.source,
            self.columns_of_nodes[members],
            self.rows_of_nodes[members],
        )

    @cached_property
    def is_exact(self) -> NDArray[np.bool_]:
        """(windows,) whether the interpolation is exact enough; all pixels of the others are projected."""
        return _interpolates(self.columns_of_nodes) & _interpolates(self.rows_of_nodes)

    def interpolate_edges(self) -> tuple[Floats, Floats]:
        """Return columns and rows of the pixels at the windows' edges, each (windows, pixels).

        Where the interpolation is exact, the lowest and the highest of all pixels are among them: the
        projection bends so little over a pixel that positions only rise, or only fall, along it.
        """
        columns, rows = (
            _interpolate_edges(positions, self.windows.like)
            for positions in (self.columns_of_nodes, self.rows_of_nodes)
        )
        return columns, rows

    def interpolate(self, scratch: Scratch | None = None) -> Alignment:
        """Return the positions of all pixels.

        Args:
            scratch: where they are computed, until it is used again; None for arrays of their own.
        """
        like = self.windows.like
        shape = len(self), like.height, like.width
        columns, rows = (
            np.empty(shape) if scratch is None else scratch.empty(name, shape)
            for name in ("positions of columns", "positions of rows")
        )
        _interpolate(self.columns_of_nodes, like, columns)
        _interpolate(self.rows_of_nodes, like, rows)
        inexact = np.flatnonzero(~self.is_exact)
        if inexact.size:
            columns[inexact], rows[inexact] = _project_pixels(self.windows.take(inexact), self.source)
        return Alignment(columns, rows, self.coincides, self.offsets)


def align(windows: GridStack, source: Grid) -> Alignment:
    """Return the alignment of many windows at once.

    Args:
        windows: of one CRS, pixel size and shape.
        source: grid of the raster.

    Returns:
        Positions are in pixels of the source, from the centre of its first one.
    """
    aligned = prepare_alignment(windows, source)
    return aligned if isinstance(aligned, Alignment) else aligned.interpolate()


def prepare_alignment(windows: GridStack, source: Grid) -> Alignment | Projection:
    """Return the alignment of many windows at once, or how it is interpolated if their CRS differs.

    Args:
        windows: of one CRS, pixel size and shape.
        source: grid of the raster.
    """
    if windows.like.epsg == source.epsg:
        return Alignment(*_positions(*_pixel_centres(windows), source), *_offsets(windows, source))
    return Projection.of(windows, source)


def pixel_offset(window: Grid, source: Grid) -> tuple[int, int] | None:
    """Return row and column of the window's first pixel in the source; None if the pixels don't coincide.

    Args:
        window: may reach beyond the source.
        source: grid of the raster.
    """
    coincides, offsets = _offsets(GridStack.of([window]), source)
    return (int(offsets[0, 0]), int(offsets[0, 1])) if coincides[0] else None


def _offsets(windows: GridStack, source: Grid) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return `coincides` and `offsets` of an alignment."""
    columns = (windows.left - source.left) / source.x_size
    rows = (source.top - windows.top) / source.y_size
    alike = (
        windows.like.epsg == source.epsg
        and math.isclose(windows.like.x_size, source.x_size, rel_tol=1e-9)
        and math.isclose(windows.like.y_size, source.y_size, rel_tol=1e-9)
    )
    if turn := _turn(source):
        # A window may be given a turn away from the source's columns: what counts is where its middle is.
        from_middle = columns + (windows.like.width - source.width) / 2
        columns = columns - turn * np.round(from_middle / turn)
    apart = np.maximum(np.abs(columns - np.round(columns)), np.abs(rows - np.round(rows)))
    offsets = np.round(np.stack([rows, columns], axis=1)).astype(np.intp)
    return (apart <= WHOLE_PIXEL) & alike, offsets


def _pixel_centres(windows: GridStack) -> tuple[Floats, Floats]:
    """Return x of every column, (windows, width), and y of every row, (windows, height)."""
    like = windows.like
    columns: Floats = np.arange(like.width, dtype=np.float64) + 0.5
    rows: Floats = np.arange(like.height, dtype=np.float64) + 0.5
    return windows.left[:, None] + columns * like.x_size, windows.top[:, None] - rows * like.y_size


def _positions(x: Floats, y: Floats, source: Grid) -> tuple[Floats, Floats]:
    """Return columns and rows of points in the source's CRS, rounded as by GDAL's inverse geotransform."""
    columns = -source.left / source.x_size + x * (1 / source.x_size)
    rows = source.top / source.y_size + y * (-1 / source.y_size)
    if turn := _turn(source):
        # A window across the 180th meridian is on both sides of the source's columns.
        columns = columns - turn * np.round((columns - source.width / 2) / turn)
    return columns, rows


def _interpolate(positions: Floats, like: Grid, out: Floats) -> None:
    """Write the positions of all pixels, (windows, height, width), from those of nodes and checks."""
    nodes = positions[:, : _NODES**2].reshape(-1, _NODES, _NODES)
    # By einsum, not by a matrix product: a BLAS would start threads of its own.
    with np.errstate(invalid="ignore"):
        across = np.einsum("wij,qj->wiq", nodes, _basis_of_pixels(like.width))
        np.einsum("pi,wiq->wpq", _basis_of_pixels(like.height), across, out=out)


def _interpolate_edges(positions: Floats, like: Grid) -> Floats:
    """Return what `_interpolate` writes for the first and last rows and columns: (windows, pixels)."""
    nodes = positions[:, : _NODES**2].reshape(-1, _NODES, _NODES)
    down = _basis_of_pixels(like.height)
    with np.errstate(invalid="ignore"):
        across = np.einsum("wij,qj->wiq", nodes, _basis_of_pixels(like.width))
        ends = _sum_nodes(down[[0, -1]], across)
        sides = _sum_nodes(down, np.ascontiguousarray(across[:, :, [0, -1]]))
    return np.concatenate([ends.reshape(len(nodes), -1), sides.reshape(len(nodes), -1)], axis=1)


def _sum_nodes(down: Floats, across: Floats) -> Floats:
    """Return the sum over the nodes that einsum makes of "pi,wiq->wpq", in the order of the nodes.

    For few columns einsum chooses another order, so that the last bit would differ from that of all.
    """
    total: Floats = down[:, 0, None] * across[:, 0, None, :]
    term = np.empty_like(total)
    for node in range(1, _NODES):
        total += np.multiply(down[:, node, None], across[:, node, None, :], out=term)
    return total


def _interpolates(positions: Floats) -> NDArray[np.bool_]:
    """Return for which windows the interpolation reproduces the check points.

    Args:
        positions: (windows, nodes and checks).
    """
    with np.errstate(invalid="ignore"):
        expected = np.einsum("wn,nc->wc", positions[:, : _NODES**2], _basis_of_checks())
        errors = expected - positions[:, _NODES**2 :]
        return np.asarray((np.abs(errors) <= _NODE_ERROR).all(axis=1))


def _project_pixels(windows: GridStack, source: Grid) -> tuple[Floats, Floats]:
    x, y = _pixel_centres(windows)
    x, y = np.broadcast_arrays(x[:, None, :], y[:, :, None])
    x, y = crs_transformer(windows.like.epsg, source.epsg).transform(x, y)
    return _positions(np.asarray(x), np.asarray(y), source)


def _turn(grid: Grid) -> float | None:
    """Return the columns around the earth if columns are degrees of longitude, else None."""
    return grid.columns_around_earth if is_geographic(grid.epsg) else None


@lru_cache(maxsize=1)
def _nodes() -> Floats:
    """Return the Chebyshev nodes on the unit interval."""
    return (1 - np.cos((2 * np.arange(_NODES) + 1) * np.pi / (2 * _NODES))) / 2


@lru_cache(maxsize=1)
def _check_points() -> Floats:
    """Return (points, 2) rows and columns on the unit square: the corners, and one between the nodes."""
    return np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.36, 0.64)])


def _lagrange(at: Floats) -> Floats:
    """Return (points, nodes): the weight of each node's value at each point, by Lagrange's formula."""
    nodes = _nodes()
    weights = np.ones((len(at), _NODES))
    for one, other in itertools.permutations(range(_NODES), 2):
        weights[:, one] *= (at - nodes[other]) / (nodes[one] - nodes[other])
    return weights


@lru_cache(maxsize=64)
def _basis_of_pixels(count: int) -> Floats:
    return _lagrange((np.arange(count) + 0.5) / count)


@lru_cache(maxsize=1)
def _basis_of_checks() -> Floats:
    """Return (nodes squared, check points)."""
    down, across = _lagrange(_check_points()[:, 0]), _lagrange(_check_points()[:, 1])
    return np.einsum("pi,pj->ijp", down, across).reshape(_NODES**2, -1)
