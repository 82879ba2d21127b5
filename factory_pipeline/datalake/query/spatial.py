"""Areas in a query: GeoJSON geometries and boxes in longitude and latitude, and their relations to items."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import polars as pl
import shapely
from shapely.geometry.base import BaseGeometry

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""

RELATIONS: dict[str, Callable[[BaseGeometry, Any], Any]] = {
    "s_intersects": shapely.intersects,
    "s_disjoint": shapely.intersects,
    "s_within": shapely.contains,
    "s_contains": shapely.within,
    "s_equals": shapely.equals,
    "s_touches": shapely.touches,
    "s_crosses": shapely.crosses,
    "s_overlaps": shapely.overlaps,
}
"""The test of the area of a query and the geometry of an item: an item is within the area if the area
contains it. An item is disjoint if it has a geometry that does not intersect.
"""
_MOST_BOXES = 16


@dataclass(frozen=True)
class Area:
    """The area of a query."""

    geometry: BaseGeometry
    boxes: tuple[Box, ...]
    """Boxes that together cover the geometry."""


def parse_area(literal: Mapping[str, Any]) -> Area:
    """Parse a GeoJSON geometry, or `{"bbox": [west, south, east, north]}`.

    Raises:
        ValueError: neither, with the reason.
    """
    if "bbox" in literal and "type" not in literal:
        return parse_box(literal["bbox"])
    try:
        geometry = shapely.geometry.shape(literal)
    except Exception as error:
        # shapely raises many kinds of errors for a malformed mapping.
        raise ValueError("it is not a GeoJSON geometry with a `type` and its `coordinates`") from error
    if geometry.is_empty:
        raise ValueError("the geometry is empty")
    coordinates = shapely.get_coordinates(geometry)
    if not (np.abs(coordinates) <= (180, 90)).all():
        raise ValueError("longitudes must be in -180..180 and latitudes in -90..90")
    if not geometry.is_valid:
        raise ValueError(f"the geometry is not valid: {shapely.is_valid_reason(geometry)}")
    return _area(shapely.force_2d(geometry))


def parse_box(edges: Any) -> Area:
    """Parse a box of west, south, east, north in degrees.

    West is greater than east if it crosses 180 degrees.

    Of six numbers, a box with heights, the heights are ignored.

    Raises:
        ValueError: it is not a box, with the reason.
    """
    if not isinstance(edges, Sequence) or isinstance(edges, str) or len(edges) not in (4, 6):
        raise ValueError("a box must be [west, south, east, north]")
    if not all(
        isinstance(edge, int | float) and not isinstance(edge, bool) and isfinite(edge) for edge in edges
    ):
        raise ValueError("the edges of a box must be numbers")
    half = len(edges) // 2
    (west, south), (east, north) = edges[:2], edges[half : half + 2]
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise ValueError(
            "west and east must be in -180..180, south and north in -90..90, south not above north"
        )
    if west <= east:
        return _area(_rectangle(west, south, east, north))
    return _area(shapely.union(_rectangle(west, south, 180, north), _rectangle(-180, south, east, north)))


def meets(operation: str, area: Area, box: pl.Expr, geometry: pl.Expr) -> pl.Expr:
    """Return whether items have a relation to an area; null if an item has no geometry.

    Args:
        operation: one of RELATIONS.
        area: of the query.
        box: struct of xmin, ymin, xmax, ymax: the bounds of each item.
        geometry: WKB; read only if the bounds intersect the area.
    """
    near = boxes_meet(area, box)
    relation, wkb = RELATIONS[operation], shapely.to_wkb(area.geometry)

    def exactly(columns: Sequence[pl.Series]) -> pl.Series:
        is_near = columns[0].fill_null(False)
        found = np.zeros(len(is_near), bool)
        if is_near.any():
            # A prepared geometry of its own: those of GEOS are not thread-safe.
            asked = shapely.from_wkb(wkb)
            shapely.prepare(asked)
            shapes = shapely.from_wkb(columns[1].filter(is_near).to_numpy(), on_invalid="ignore")
            found[is_near.to_numpy()] = relation(asked, shapes)
        return pl.Series(found)

    exact = pl.map_batches([near, geometry], exactly, return_dtype=pl.Boolean(), is_elementwise=True)
    has_one = box.struct.field("xmin").is_not_null()
    return has_one & ~exact if operation == "s_disjoint" else has_one & exact


def boxes_meet(area: Area, box: pl.Expr) -> pl.Expr:
    """Return whether the bounds of items touch those of an area, which needs no geometry.

    Args:
        area: of the query; its boxes are in degrees.
        box: structs of `xmin`, `ymin`, `xmax`, `ymax` in degrees.
    """
    edge = box.struct.field
    meeting = [
        (edge("xmin") <= east) & (edge("xmax") >= west) & (edge("ymin") <= north) & (edge("ymax") >= south)
        for west, south, east, north in area.boxes
    ]
    return pl.any_horizontal(meeting) if len(meeting) > 1 else meeting[0]


def _area(geometry: BaseGeometry) -> Area:
    parts = shapely.get_parts(geometry)
    if len(parts) > _MOST_BOXES:
        parts = np.array([geometry])
    boxes = (tuple(float(edge) for edge in bounds) for bounds in shapely.bounds(parts))
    return Area(geometry, tuple((west, south, east, north) for west, south, east, north in boxes))


def _rectangle(west: float, south: float, east: float, north: float) -> BaseGeometry:
    """Return a polygon, or the line or point of a box without width or height."""
    if west == east and south == north:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString([(west, south), (east, north)])
    return shapely.box(west, south, east, north)
