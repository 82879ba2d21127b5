"""Moving shapes with their image: transformed, clipped at its edges, dropped if they are outside."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.model.sample import Shape
from factory_pipeline.imagery.map_points import map_points

SLIVER = 1e-3
"""Least area or length of a part in pixels: less occurs where a shape only touches the edge of an image."""

Points = NDArray[Any]
"""(points, 2) of x, y."""
Rings = tuple[Points, ...]
"""As those of a Shape."""
Size = tuple[int, int]
"""Height and width."""


def move_shapes(shapes: Sequence[Shape], affine: Affine, before: Size, after: Size) -> tuple[Shape, ...]:
    """Move shapes from an image to a copy of it.

    A shape that stays in the image keeps its points; of one that is cut apart, each part is a shape. A
    rectangle becomes the bounds of its visible part. Parts that were outside the image before are not visible
    in the copy either, as they have no pixels.

    Args:
        shapes: in pixels of the image.
        affine: from pixels of the image to those of the copy.
        before: size of the image.
        after: size of the copy.
    """
    height, width = before
    corners = map_points(affine, _corners(0, 0, width, height))
    seen = shapely.intersection(shapely.Polygon(corners), shapely.box(0, 0, after[1], after[0]))
    shapely.prepare(seen)
    return tuple(moved for shape in shapes for moved in _move(shape, affine, seen))


def _move(shape: Shape, affine: Affine, seen: shapely.Polygon) -> list[Shape]:
    is_box = shape.type is AnnotationType.RECTANGLE
    rings = (_corners(*shape.bbox),) if is_box else shape.rings
    rings = tuple(map_points(affine, np.asarray(ring, np.float64)) for ring in rings)
    # The visible area is convex, so a shape is in it if its points are.
    if rings and all(shapely.intersects_xy(seen, *ring.T).all() for ring in rings):
        return [replace(shape, bbox=_bounds(rings[0]), rings=() if is_box else rings)]
    parts = (_cut_line if shape.type is AnnotationType.LINE else _cut_polygon)(rings, seen)
    if is_box:
        return [replace(shape, bbox=_bounds(np.concatenate([part[0] for part in parts])))] if parts else []
    return [replace(shape, bbox=_bounds(part[0]), rings=part) for part in parts]


def _cut_polygon(rings: Rings, seen: shapely.Polygon) -> list[Rings]:
    """Return the rings of each part; a self-intersecting one follows the even-odd rule, as it is drawn."""
    if not rings or len(rings[0]) < 3:
        return []
    drawn = shapely.Polygon(rings[0], [ring for ring in rings[1:] if len(ring) >= 3])
    if not drawn.is_valid:
        drawn = shapely.make_valid(drawn, method="linework")
    parts = shapely.get_parts(shapely.get_parts(shapely.intersection(drawn, seen)))
    kept = [part for part in parts if part.geom_type == "Polygon" and part.area >= SLIVER]
    return [
        tuple(shapely.get_coordinates(ring)[:-1] for ring in (part.exterior, *part.interiors))
        for part in _sort_for_reading(kept)
    ]


def _cut_line(rings: Rings, seen: shapely.Polygon) -> list[Rings]:
    """Return the points of each part, in the direction of the line."""
    if not rings or len(rings[0]) < 2:
        return []
    cut = shapely.get_parts(shapely.intersection(shapely.LineString(rings[0]), seen))
    pieces = [part for part in cut if part.geom_type == "LineString" and not part.is_empty]
    # A line that crosses itself was cut there too.
    parts = shapely.get_parts(shapely.line_merge(shapely.MultiLineString(pieces), directed=True))
    kept = [part for part in parts if part.length >= SLIVER]
    return [(shapely.get_coordinates(part),) for part in _sort_for_reading(kept)]


def _sort_for_reading(parts: list[Any]) -> list[Any]:
    return sorted(parts, key=lambda part: (part.bounds[1], part.bounds[0], part.wkb))


def _corners(x: float, y: float, width: float, height: float) -> Points:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def _bounds(points: Points) -> tuple[float, float, float, float]:
    """x, y, width, height."""
    left, top = points.min(axis=0).tolist()
    right, bottom = points.max(axis=0).tolist()
    return left, top, right - left, bottom - top
