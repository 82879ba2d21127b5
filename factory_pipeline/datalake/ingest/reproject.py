"""Laying geometries of one CRS onto images of another."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.datalake.ingest.match_items import Item

MARGIN = 0.1
"""Of an image's size: how far around it a geometry is kept before it is laid on it, so that what is far away,
and may have no place in the image's CRS, plays no part."""
EDGE_POINTS = 8
"""Points on each side of an image that its surroundings are drawn through."""
TOLERANCE = 0.1
"""Pixels by which a straight edge may miss the curve that it becomes in the image's CRS."""
MOST_HALVINGS = 12
DIGITS = 6
"""Of a pixel: less is what transformations there and back differ by."""


def geometry_to_pixels(geometry: Any, crs: str, item: Item) -> Any:
    """A geometry in pixels of an image; empty where it lies elsewhere.

    Edges that are straight in one CRS and not in the other get points in between.

    Args:
        geometry: polygons or lines; x is longitude or easting.
        crs: of the geometry.
        item: a georeferenced image.
    """
    near = _buffered_extent(item, crs)
    if not shapely.covers(near, geometry):
        if not shapely.is_valid(geometry):
            geometry = shapely.make_valid(geometry)
        geometry = shapely.intersection(geometry, near)
    return _each_line(geometry, lambda points: _densify(points, crs, item))


def degrees_of(geometry: Any, crs: str) -> list[tuple[float, float, float, float]]:
    """Bounds of a geometry in degrees (west, south, east, north); two where it crosses 180 degrees."""
    bounds = shapely.bounds(geometry).tolist()
    west, south, east, north = crs_transformer(crs, "OGC:CRS84").transform_bounds(*bounds)
    if west > east:
        return [(west, south, 180.0, north), (-180.0, south, east, north)]
    return [(west, south, east, north)]


def padded_bounds(geometries: NDArray[Any]) -> NDArray[Any]:
    """Boxes around the geometries of items and a little more: their sides are seldom straight in degrees."""
    west, south, east, north = shapely.bounds(geometries).T
    wide, high = MARGIN * (east - west), MARGIN * (north - south)
    return shapely.box(west - wide, south - high, east + wide, north + high)


@lru_cache(maxsize=64)
def _is_geographic(crs: str) -> bool:
    return bool(CRS.from_user_input(crs).is_geographic)


def _buffered_extent(item: Item, crs: str) -> Any:
    """The ground around an image, in a CRS; on both sides of 180 degrees where it crosses that."""
    low, high = -MARGIN, 1 + MARGIN
    steps = np.linspace(low, high, EDGE_POINTS)
    first, last = np.full_like(steps, low), np.full_like(steps, high)
    columns = np.concatenate([steps, last, steps[::-1], first]) * item.width
    rows = np.concatenate([first, steps, last, steps[::-1]]) * item.height
    x, y = crs_transformer(item.crs or "", crs).transform(*_mapped(item.transform or (), columns, rows))
    if not _is_geographic(crs):
        return shapely.Polygon(np.stack([x, y], axis=1))
    x = x[0] + (x - x[0] + 180) % 360 - 180
    turns = [turn for turn in (-360, 0, 360) if x.min() + turn < 180 and x.max() + turn > -180]
    return shapely.union_all([shapely.Polygon(np.stack([x + turn, y], axis=1)) for turn in turns])


def _densify(points: NDArray[np.float64], crs: str, item: Item) -> NDArray[np.float64]:
    """Points of a line in pixels, with as many in between as it needs."""
    to_item, to_pixels = crs_transformer(crs, item.crs or ""), tuple(~Affine(*(item.transform or ())))

    def pixels(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(_mapped(to_pixels, *to_item.transform(at[:, 0], at[:, 1])), axis=1)

    found = pixels(points)
    for _ in range(MOST_HALVINGS):
        middles = (points[:-1] + points[1:]) / 2
        missed = np.abs(pixels(middles) - (found[:-1] + found[1:]) / 2).max(axis=1) > TOLERANCE
        if not missed.any():
            break
        points = np.insert(points, np.flatnonzero(missed) + 1, middles[missed], axis=0)
        found = pixels(points)
    return found.round(DIGITS)


def _mapped(
    transform: Sequence[float], x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


def _each_line(geometry: Any, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Any:
    """A geometry of the lines and rings that a change makes of its own."""
    if hasattr(geometry, "geoms"):
        return shapely.GeometryCollection([_each_line(part, change) for part in geometry.geoms])
    if geometry.is_empty or geometry.geom_type not in ("Polygon", "LineString"):
        return shapely.GeometryCollection()
    if geometry.geom_type == "LineString":
        return shapely.LineString(change(shapely.get_coordinates(geometry)))
    rings = [change(shapely.get_coordinates(ring)) for ring in (geometry.exterior, *geometry.interiors)]
    return shapely.Polygon(rings[0], rings[1:])
