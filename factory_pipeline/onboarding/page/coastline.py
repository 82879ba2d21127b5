"""Land on the maps: the outline of Natural Earth at 1:110 million, which comes with the package."""

import json
from functools import cache
from importlib import resources

import numpy as np
import shapely
from numpy.typing import NDArray

LAND = resources.files("factory_pipeline.onboarding.page") / "vendor" / "land-110m-2.0.2.json"
"""TopoJSON, as the package world-atlas has it."""


def land_within(
    west: float, south: float, east: float, north: float, tolerance: float
) -> list[list[tuple[float, float]]]:
    """Return the rings of the land in a window, the first point again at the end.

    Args:
        west: in degrees, like all; may be below -180, and `east` beyond 180.
        south: of the window.
        east: of the window.
        north: of the window.
        tolerance: how far a simplified outline may be from the real one.
    """
    rings: list[list[tuple[float, float]]] = []
    for turn in (-720, -360, 0, 360, 720):
        clipped = shapely.clip_by_rect(_land(), west - turn, south, east - turn, north)
        for polygon in shapely.get_parts(shapely.simplify(clipped, tolerance)):
            if polygon.geom_type != "Polygon":
                continue  # a touch of the window's edge
            rings += [
                [(lon + turn, lat) for lon, lat in shapely.get_coordinates(ring).tolist()]
                for ring in shapely.get_rings(polygon)
            ]
    return rings


@cache
def _land() -> shapely.MultiPolygon:
    """Decode the outlines: arcs are differences of whole numbers, `~number` is an arc from its end.

    Outlines across 180 degrees go on beyond it.

    The format is that of https://github.com/topojson/topojson-specification.
    """
    topology = json.loads(LAND.read_text(encoding="utf-8"))
    scale, origin = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    arcs = [np.cumsum(arc, axis=0) * scale + origin for arc in topology["arcs"]]

    def ring(numbers: list[int]) -> NDArray[np.float64]:
        # Where two arcs meet, both have the point.
        parts = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in numbers]
        points = np.concatenate([parts[0], *(part[1:] for part in parts[1:])])
        points[:, 0] = np.unwrap(points[:, 0], period=360)
        first, last = points[0, 0], points[-1, 0]
        if abs(last - first) < 180:
            return points
        return np.concatenate([points, [(last, -90), (first, -90)]])  # around the South Pole

    [land] = topology["objects"]["land"]["geometries"]
    polygons = [
        shapely.Polygon(ring(outer), [ring(hole) for hole in holes]) for outer, *holes in land["arcs"]
    ]
    # A ring that touches itself becomes several.
    parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(np.array(polygons))))
    return shapely.MultiPolygon([part for part in parts if part.geom_type == "Polygon"])
