"""Places in a query: GeoJSON geometries and boxes in longitude and latitude, and whether items meet them."""

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
"""What is asked of the place of a query and the geometry of an item: that the item is within the place is
that the place contains it. An item is disjoint where it has a geometry that does not intersect."""
_MOST_BOXES = 16


@dataclass(frozen=True)
class Place:
    """Where a query looks."""

    geometry: BaseGeometry
    boxes: tuple[Box, ...]
    """Whatever meets the geometry meets one of these."""


def parse_place(literal: Mapping[str, Any]) -> Place:
    """A GeoJSON geometry, or `{"bbox": [west, south, east, north]}`.

    Raises:
        ValueError: neither, with the reason.
    """
    if "bbox" in literal and "type" not in literal:
        return parse_box(literal["bbox"])
    try:
        geometry = shapely.geometry.shape(literal)
    except Exception as error:
        # shapely raises whatever a malformed mapping makes it stumble over.
        raise ValueError("it is no GeoJSON geometry with a `type` and its `coordinates`") from error
    if geometry.is_empty:
        raise ValueError("the geometry is empty")
    coordinates = shapely.get_coordinates(geometry)
    if not (np.abs(coordinates) <= (180, 90)).all():
        raise ValueError("longitudes lie in -180..180 and latitudes in -90..90")
    if not geometry.is_valid:
        raise ValueError(f"the geometry is not valid: {shapely.is_valid_reason(geometry)}")
    return _place(shapely.force_2d(geometry))


def parse_box(edges: Any) -> Place:
    """West, south, east, north in degrees; west is greater than east in a box that crosses 180 degrees.

    Of six numbers, as a box with heights has them, the heights are left out.

    Raises:
        ValueError: no such box, with the reason.
    """
    if not isinstance(edges, Sequence) or isinstance(edges, str) or len(edges) not in (4, 6):
        raise ValueError("a box is [west, south, east, north]")
    if not all(
        isinstance(edge, int | float) and not isinstance(edge, bool) and isfinite(edge) for edge in edges
    ):
        raise ValueError("the edges of a box are numbers")
    half = len(edges) // 2
    (west, south), (east, north) = edges[:2], edges[half : half + 2]
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise ValueError("west and east lie in -180..180, south and north in -90..90, south not above north")
    if west <= east:
        return _place(_rectangle(west, south, east, north))
    return _place(shapely.union(_rectangle(west, south, 180, north), _rectangle(-180, south, east, north)))


def meets(operation: str, place: Place, box: pl.Expr, geometry: pl.Expr) -> pl.Expr:
    """Whether items meet a place; null where an item has no geometry.

    Args:
        operation: one of RELATIONS.
        place: of the query.
        box: struct of xmin, ymin, xmax, ymax: the bounds of each item.
        geometry: WKB; read only where the bounds meet the place.
    """
    near = boxes_meet(place, box)
    relation, wkb = RELATIONS[operation], shapely.to_wkb(place.geometry)

    def exactly(columns: Sequence[pl.Series]) -> pl.Series:
        is_near = columns[0].fill_null(False)
        found = np.zeros(len(is_near), bool)
        if is_near.any():
            # A prepared geometry of its own: those of GEOS are not made for several threads.
            asked = shapely.from_wkb(wkb)
            shapely.prepare(asked)
            shapes = shapely.from_wkb(columns[1].filter(is_near).to_numpy(), on_invalid="ignore")
            found[is_near.to_numpy()] = relation(asked, shapes)
        return pl.Series(found)

    exact = pl.map_batches([near, geometry], exactly, return_dtype=pl.Boolean(), is_elementwise=True)
    has_one = box.struct.field("xmin").is_not_null()
    return has_one & ~exact if operation == "s_disjoint" else has_one & exact


def boxes_meet(place: Place, box: pl.Expr) -> pl.Expr:
    """Whether the bounds of items touch those of a place: what can be told without their geometry."""
    edge = box.struct.field
    meeting = [
        (edge("xmin") <= east) & (edge("xmax") >= west) & (edge("ymin") <= north) & (edge("ymax") >= south)
        for west, south, east, north in place.boxes
    ]
    return pl.any_horizontal(meeting) if len(meeting) > 1 else meeting[0]


def _place(geometry: BaseGeometry) -> Place:
    parts = shapely.get_parts(geometry)
    if len(parts) > _MOST_BOXES:
        parts = np.array([geometry])
    boxes = (tuple(float(edge) for edge in bounds) for bounds in shapely.bounds(parts))
    return Place(geometry, tuple((west, south, east, north) for west, south, east, north in boxes))


def _rectangle(west: float, south: float, east: float, north: float) -> BaseGeometry:
    """A polygon, or the line or point that a box without width or height is."""
    if west == east and south == north:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString([(west, south), (east, north)])
    return shapely.box(west, south, east, north)
