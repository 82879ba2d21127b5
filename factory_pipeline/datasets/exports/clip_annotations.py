"""Shapes clipped to the image: boxes for detection, polygons for segmentation.

Pixels count from the upper left corner of the image, so the full image is (0, 0, width, height).
"""

import shapely
from shapely import Polygon

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.model.sample import Shape

Box = tuple[float, float, float, float]
"""x, y, width, height."""


def has_area(shape: Shape) -> bool:
    """Return whether a shape is a rectangle or a polygon, not a line."""
    return shape.type in (AnnotationType.RECTANGLE, AnnotationType.POLYGON)


def box_in_image(shape: Shape, height: int, width: int) -> Box | None:
    """Return the part of a shape's bounds in the image, or None if that has no area.

    Args:
        shape: in pixels; may reach beyond the image.
        height: of the image in pixels.
        width: of the image in pixels.

    Returns:
        x, y (of the upper left corner), width and height in pixels.
    """
    x, y, w, h = shape.bbox
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + w, float(width)), min(y + h, float(height))
    if right <= left or bottom <= top:
        return None
    return left, top, right - left, bottom - top


def outline(shape: Shape) -> Polygon | None:
    """Return a rectangle or polygon as it was drawn; None if it has no area."""
    if shape.type is AnnotationType.RECTANGLE:
        x, y, w, h = shape.bbox
        return shapely.box(x, y, x + w, y + h)
    if not shape.rings or len(shape.rings[0]) < 3:
        return None
    return Polygon(shape.rings[0], [ring for ring in shape.rings[1:] if len(ring) >= 3])


def polygons_in_image(shape: Shape, height: int, width: int) -> list[Polygon]:
    """Return the parts of a polygon in the image, in reading order of their bounds.

    A polygon inside the image keeps its points. A self-intersecting one follows the even-odd rule, as it is
    drawn.

    Args:
        shape: in pixels; may reach beyond the image.
        height: of the image in pixels.
        width: of the image in pixels.
    """
    drawn = outline(shape)
    if drawn is None:
        return []
    image = shapely.box(0, 0, width, height)
    if drawn.is_valid and image.covers(drawn):
        return [drawn]
    cut = shapely.intersection(shapely.make_valid(drawn, method="linework"), image)
    parts = [part for part in shapely.get_parts(cut) if isinstance(part, Polygon) and part.area > 0]
    return sorted(parts, key=lambda part: (part.bounds[1], part.bounds[0], part.wkb))
