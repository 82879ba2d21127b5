"""Footprints as valid GeoJSON geometries: split at 180 degrees, and cut there if they contain a pole.

RFC 7946, section 3.1.9 and 5.2 (antimeridian) and 5.3 (poles).
"""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from factory_pipeline.imagery.footprints import at_pole

WORLD = shapely.box(-180, -90, 180, 90)
_SEGMENTS = 16
"""Least number of segments of an edge near a pole: straight on the ground, it is curved in degrees."""
_WIDE = 10.0
"""Degrees of longitude; wider footprints beyond _HIGH degrees of latitude get more points per edge."""
_HIGH = 60.0
_MERGED = 1e-9
"""Degrees within which the edges of neighbouring parts are one."""


def geometries(corners: NDArray[np.float64]) -> NDArray[Any]:
    """Return the geometry of each footprint.

    Args:
        corners: (items, 4, 2) longitude and latitude in degrees, as `imagery.footprints` returns them.

    Returns:
        (items,) polygons and multipolygons within -180 to 180 and -90 to 90 degrees; None for one of NaN.
    """
    made: NDArray[Any] = np.full(len(corners), None, dtype=object)
    placed = np.isfinite(corners).all(axis=(1, 2))
    # Corners go clockwise from the upper left; a ring goes counter-clockwise.
    made[placed] = shapely.polygons(corners[placed][:, ::-1])
    # Far from a pole, edges that are straight on the ground are nearly so in degrees.
    polar = placed & (at_pole(corners) | (np.ptp(corners[:, :, 0], axis=1) > _WIDE))
    polar &= np.abs(corners[:, :, 1]).min(axis=1) > _HIGH
    for row in np.flatnonzero(placed & ~polar & (np.abs(corners[:, :, 0]).max(axis=1) > 180)):
        made[row] = wrap_longitudes(made[row])
    for row in np.flatnonzero(polar):
        made[row] = _cut_at_pole(corners[row])
    return made


def bounds_of(footprints: NDArray[Any]) -> NDArray[np.float64]:
    """Return west, south, east, north of each geometry; west is greater than east if it crosses 180 degrees.

    A geometry around a pole extends from -180 to 180 degrees. NaN for None.
    """
    bounds = np.asarray(shapely.bounds(footprints), dtype=np.float64).reshape(-1, 4)
    for row in np.flatnonzero((bounds[:, 0] <= -180) & (bounds[:, 2] >= 180)):
        parts = shapely.bounds(shapely.get_parts(footprints[row]))
        eastern, western = parts[parts[:, 2] >= 180], parts[parts[:, 0] <= -180]
        if len(parts) > 1 and not ((parts[:, 0] <= -180) & (parts[:, 2] >= 180)).any():
            bounds[row, 0], bounds[row, 2] = eastern[:, 0].min(), western[:, 2].max()
    return bounds


def wrap_longitudes(polygon: Any) -> Any:
    """Return a polygon that crosses 180 degrees as its parts within -180 and 180.

    Args:
        polygon: longitude and latitude in degrees, the longitudes without a jump: they pass 180 or -180.
    """
    turned = [shapely.transform(polygon, lambda at, by=by: at + np.array([by, 0])) for by in (-360, 0, 360)]
    parts = [shapely.intersection(part, WORLD) for part in turned]
    return shapely.multipolygons([part for part in parts if shapely.area(part)])


def _cut_at_pole(quad: NDArray[np.float64]) -> Any:
    """Return a footprint around or near a pole, cut into quarters of the globe in a plane around the pole."""
    side = 1.0 if quad[:, 1].mean() > 0 else -1.0
    colatitude, angle = 90 - side * quad[:, 1], np.radians(quad[:, 0])
    around = np.stack([colatitude * np.cos(angle), colatitude * np.sin(angle)], axis=-1)
    outline = shapely.convex_hull(shapely.multipoints(around))
    reach = 2 * float(colatitude.max())
    parts = []
    for west in (-180.0, -90.0, 0.0, 90.0):
        first, last = (
            reach * np.array([np.cos(edge), np.sin(edge)]) for edge in np.radians([west, west + 90])
        )
        quarter = shapely.polygons([np.zeros(2), first, first + last, last])
        piece = shapely.intersection(outline, quarter)
        if shapely.area(piece) > 0:
            ring = shapely.get_coordinates(shapely.segmentize(piece, reach / 2 / _SEGMENTS))[:-1]
            parts.append(shapely.polygons(_to_degrees(ring, west, side)))
    return shapely.union_all(parts, grid_size=_MERGED)


def _to_degrees(ring: NDArray[np.float64], west: float, side: float) -> NDArray[np.float64]:
    """Convert a ring in a quarter of the plane around a pole to longitude and latitude.

    The pole becomes an edge.
    """
    colatitude = np.hypot(ring[:, 0], ring[:, 1])
    middle = west + 45
    turned = np.degrees(np.arctan2(ring[:, 1], ring[:, 0])) - middle
    lon = middle + np.clip((turned + 180) % 360 - 180, -45, 45)
    at = []
    for here in range(len(ring)):
        if colatitude[here] < _MERGED:
            at += [(lon[here - 1], side * 90.0), (lon[(here + 1) % len(ring)], side * 90.0)]
        else:
            at.append((lon[here], side * (90 - colatitude[here])))
    return np.array(at)
