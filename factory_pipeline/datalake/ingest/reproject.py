"""Converting geometries of one CRS to pixels of images in another."""

from collections.abc import Callable
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from factory_pipeline.crs_transformer import crs_transformer, is_geographic
from factory_pipeline.datalake.ingest.match_items import Item
from factory_pipeline.imagery.map_points import map_points

MARGIN = 0.1
"""Fraction of an image's size: the margin to which a geometry is clipped before it is projected, so that
distant parts, which may not be projectable to the image's CRS, have no effect.
"""
EDGE_POINTS = 8
"""Points on each side of an image that define its surroundings."""
TOLERANCE = 0.1
"""Largest distance in pixels of a straight edge from the curve that it becomes in the image's CRS."""
MOST_HALVINGS = 12
DIGITS = 6
"""Fraction of a pixel: smaller differences are rounding errors of transformations there and back."""


def geometry_to_pixels(geometry: Any, crs: str, item: Item) -> Any:
    """Convert a geometry to pixels of an image; empty if they don't intersect.

    Edges that are straight in one CRS and not in the other get additional points.

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
    return _map_lines(geometry, lambda points: _densify(points, crs, item))


def degrees_of(geometry: Any, crs: str) -> list[tuple[float, float, float, float]]:
    """Return bounds of a geometry in degrees (west, south, east, north); two if it crosses 180 degrees.

    Args:
        geometry: a shapely geometry, not empty.
        crs: of its coordinates, as PROJ reads it (`EPSG:32633`, WKT), with x before y.
    """
    bounds = shapely.bounds(geometry).tolist()
    west, south, east, north = crs_transformer(crs, "OGC:CRS84").transform_bounds(*bounds)
    if west > east:
        return [(west, south, 180.0, north), (-180.0, south, east, north)]
    return [(west, south, east, north)]


def padded_bounds(geometries: NDArray[Any]) -> NDArray[Any]:
    """Return padded bounding boxes of the geometries of items: sides are seldom straight in degrees."""
    west, south, east, north = shapely.bounds(geometries).T
    wide, high = MARGIN * (east - west), MARGIN * (north - south)
    return shapely.box(west - wide, south - high, east + wide, north + high)


def _buffered_extent(item: Item, crs: str) -> Any:
    """Return the extent around an image, in a CRS; on both sides of 180 degrees if it crosses that."""
    low, high = -MARGIN, 1 + MARGIN
    steps = np.linspace(low, high, EDGE_POINTS)
    first, last = np.full_like(steps, low), np.full_like(steps, high)
    columns = np.concatenate([steps, last, steps[::-1], first]) * item.width
    rows = np.concatenate([first, steps, last, steps[::-1]]) * item.height
    outline = map_points(item.transform or (), np.stack([columns, rows], axis=1))
    x, y = crs_transformer(item.crs or "", crs).transform(*outline.T)
    if not is_geographic(crs):
        return shapely.Polygon(np.stack([x, y], axis=1))
    x = x[0] + (x - x[0] + 180) % 360 - 180
    turns = [turn for turn in (-360, 0, 360) if x.min() + turn < 180 and x.max() + turn > -180]
    return shapely.union_all([shapely.Polygon(np.stack([x + turn, y], axis=1)) for turn in turns])


def _densify(points: NDArray[np.float64], crs: str, item: Item) -> NDArray[np.float64]:
    """Return the points of a line in pixels, with as many additional points as needed."""
    to_item, to_pixels = crs_transformer(crs, item.crs or ""), ~Affine(*(item.transform or ())[:6])

    def pixels(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return map_points(to_pixels, np.stack(to_item.transform(at[:, 0], at[:, 1]), axis=1))

    found = pixels(points)
    for _ in range(MOST_HALVINGS):
        middles = (points[:-1] + points[1:]) / 2
        missed = np.abs(pixels(middles) - (found[:-1] + found[1:]) / 2).max(axis=1) > TOLERANCE
        if not missed.any():
            break
        points = np.insert(points, np.flatnonzero(missed) + 1, middles[missed], axis=0)
        found = pixels(points)
    return found.round(DIGITS)


def _map_lines(geometry: Any, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Any:
    """Return a geometry with a function applied to each of its lines and rings."""
    if hasattr(geometry, "geoms"):
        return shapely.GeometryCollection([_map_lines(part, change) for part in geometry.geoms])
    if geometry.is_empty or geometry.geom_type not in ("Polygon", "LineString"):
        return shapely.GeometryCollection()
    if geometry.geom_type == "LineString":
        return shapely.LineString(change(shapely.get_coordinates(geometry)))
    rings = [change(shapely.get_coordinates(ring)) for ring in (geometry.exterior, *geometry.interiors)]
    return shapely.Polygon(rings[0], rings[1:])
