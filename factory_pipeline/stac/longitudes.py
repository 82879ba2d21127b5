"""Longitudes of items, written in one way whatever way the catalog writes them.

Catalogs write an extent across the antimeridian as two pieces, as 179..181, as -181..-179, as 179..-179 or as
a ring that runs around the globe the other way. Here every piece begins in -180..180; it may end beyond 180.
"""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from factory_pipeline.stac.query import Box

TURN = 360.0


def normalize_outline(outline: shapely.Geometry) -> shapely.Geometry:
    """Return an outline whose pieces each begin in -180 <= west < 180 and are narrower than 180 degrees.

    A piece that spans more than 180 degrees is taken for one that crosses the antimeridian: a product or a
    tile spans a few degrees.
    """
    if not hasattr(outline, "geoms"):
        return _normalize_piece(outline)
    given = list(outline.geoms)
    pieces = [normalize_outline(piece) for piece in given]
    if all(piece is before for piece, before in zip(pieces, given, strict=True)):
        return outline
    return type(outline)(pieces)


def _normalize_piece(piece: shapely.Geometry) -> shapely.Geometry:
    if piece.is_empty:
        return piece
    west, _, east, _ = piece.bounds
    if east - west > TURN / 2:
        piece = shapely.transform(piece, _unroll)
        west = piece.bounds[0]
    return turn(piece, _shift_of(west))


def turn(geometry: shapely.Geometry, degrees: float) -> shapely.Geometry:
    """Return the geometry so many degrees further east.

    Args:
        geometry: longitude and latitude.
        degrees: below zero for the west.
    """
    step = np.array([degrees, 0.0])
    return shapely.transform(geometry, lambda points: points + step) if degrees else geometry


def _unroll(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count the western hemisphere's longitudes on from the eastern's."""
    unrolled = points.copy()
    unrolled[:, 0] %= TURN
    return unrolled


def _shift_of(west: float) -> float:
    """Degrees that bring a west end into -180 <= west < 180; 0 where it is there."""
    return float(-TURN * np.floor((west + TURN / 2) / TURN))


def normalize_bbox(bbox: Any) -> Box:
    """Return west, south, east, north of a GeoJSON bbox (4 or 6 numbers); -180 <= west < 180, west <= east.

    A bbox whose west end is east of its east end crosses the antimeridian (RFC 7946, 5.2).

    Raises:
        TypeError: it is no sequence of numbers.
        ValueError: it does not hold 4 or 6 finite numbers.
    """
    numbers = [float(value) for value in bbox]
    if len(numbers) not in (4, 6) or not np.isfinite(numbers).all():
        raise ValueError("a bbox has 4 or 6 numbers")
    west, south, east, north = numbers if len(numbers) == 4 else (*numbers[:2], *numbers[3:5])
    if east < west:
        east += TURN
    shift = _shift_of(west)
    return west + shift, south, east + shift, north


def touches_box(outlines: NDArray[np.object_], box: Box) -> NDArray[np.bool_]:
    """Return which normalised outlines touch a box of -180..180 degrees.

    Args:
        outlines: (n,) polygons.
        box: west, south, east, north.
    """
    return touches_area(outlines, shapely.box(*box))


def touches_area(outlines: NDArray[np.object_], area: shapely.Geometry) -> NDArray[np.bool_]:
    """Return which normalised outlines touch an area of -180..180 degrees.

    Args:
        outlines: (n,) polygons.
        area: of longitude and latitude.
    """
    touched = np.asarray(shapely.intersects(outlines, area), dtype=np.bool_)
    beyond = np.flatnonzero(shapely.bounds(outlines).reshape(-1, 4)[:, 2] >= TURN / 2)
    if beyond.size:
        touched[beyond] |= shapely.intersects(outlines[beyond], turn(area, TURN))
    return touched
