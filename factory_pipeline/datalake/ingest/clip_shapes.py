"""Shapes clipped at the edges of an image, as rows of annotations in pixels from the upper left corner."""

from collections.abc import Iterator, Sequence
from typing import Any

import shapely

from factory_pipeline.datalake.tables.schemas import AnnotationType

Row = dict[str, Any]
"""`type`, `bbox` and `rings` of ANNOTATION_SCHEMA."""
SLIVER = 1e-3
"""Least area or length of a part in pixels: less occurs where a shape only touches the edge of an image."""


def rectangle(bbox: Sequence[float], image: tuple[int, int]) -> list[Row]:
    """Clip a rectangle to an image; the result is empty if it is outside or has no area.

    The result is empty if it is outside or has no area.

    Args:
        bbox: x, y (of the upper left corner), width and height in pixels.
        image: width and height in pixels.

    Returns:
        At most one row of ANNOTATION_SCHEMA, with the columns of the shape alone.
    """
    x, y, width, height = map(float, bbox)
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, float(image[0])), min(y + height, float(image[1]))
    if right <= left or bottom <= top:
        return []
    cut = [left, top, right - left, bottom - top]
    return [{"type": AnnotationType.RECTANGLE.value, "bbox": cut}]


def polygons(geometry: Any, image: tuple[int, int]) -> list[Row]:
    """Clip polygons to an image, one row per part; self-intersecting ones are repaired.

    Args:
        geometry: a shapely Polygon or MultiPolygon in pixels.
        image: width and height in pixels.

    Returns:
        Rows of ANNOTATION_SCHEMA, with the columns of the shape alone; none for parts smaller than SLIVER.
    """
    if not shapely.is_valid(geometry):
        geometry = shapely.make_valid(geometry)
    return [
        _row(AnnotationType.POLYGON, part, [part.exterior, *part.interiors])
        for part in _parts(_cut(geometry, image))
        if part.geom_type == "Polygon" and part.area >= SLIVER
    ]


def lines(geometry: Any, image: tuple[int, int]) -> list[Row]:
    """Clip lines to an image, one row per part.

    Args:
        geometry: a shapely LineString or MultiLineString in pixels.
        image: width and height in pixels.

    Returns:
        Rows of ANNOTATION_SCHEMA, with the columns of the shape alone; none for parts shorter than SLIVER.
    """
    cut = _cut(geometry, image)
    if cut is not geometry and cut.geom_type == "MultiLineString":
        cut = shapely.line_merge(cut)
    return [
        _row(AnnotationType.LINE, part, [part])
        for part in _parts(cut)
        if part.geom_type == "LineString" and part.length >= SLIVER
    ]


def _cut(geometry: Any, image: tuple[int, int]) -> Any:
    frame = shapely.box(0, 0, *image)
    return geometry if shapely.covers(frame, geometry) else shapely.intersection(geometry, frame)


def _parts(geometry: Any) -> Iterator[Any]:
    if hasattr(geometry, "geoms"):
        for part in geometry.geoms:
            yield from _parts(part)
    else:
        yield geometry


def _row(kind: AnnotationType, part: Any, rings: list[Any]) -> Row:
    left, top, right, bottom = part.bounds
    return {
        "type": kind.value,
        "bbox": [left, top, right - left, bottom - top],
        "rings": [_points(ring) for ring in rings],
    }


def _points(ring: Any) -> list[list[float]]:
    points = shapely.get_coordinates(ring).tolist()
    return points[:-1] if ring.geom_type == "LinearRing" else points
