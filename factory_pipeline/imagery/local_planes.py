"""Footprints as polygons in metres: each pair in a plane around it, or around the pole near one."""

import numpy as np
import shapely
from numpy.typing import NDArray

from factory_pipeline.imagery.footprints import at_pole

_EQUATOR_M = 6_378_137.0
_ECCENTRICITY2 = 0.00669437999014
"""Semi-major axis [m] and squared eccentricity of WGS 84."""
POLAR_LATITUDE = 80.0
"""Latitude in degrees beyond which two footprints are compared in a plane around the pole."""
_POLAR_RADIUS_M = 6_399_593.6
"""Radius of curvature of WGS 84 at a pole [m]."""


def project_to_planes(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return pairs of footprints as polygons in metres, each pair in its own plane.

    Args:
        one: (pairs, corners, 2), longitude and latitude in degrees.
        other: of the same shape: the second footprint of each pair.

    Returns:
        Two arrays of shapely polygons, each of length `pairs`.
    """
    latitudes = np.abs(np.concatenate([one, other], axis=1)[..., 1]).max(axis=1, initial=0.0)
    polar = at_pole(one) | at_pole(other) | (latitudes > POLAR_LATITUDE)
    first, second = np.empty(len(one), dtype=object), np.empty(len(one), dtype=object)
    for chosen, plane in ((polar, _plane_of_pole), (~polar, _plane_of_pair)):
        if chosen.any():
            first[chosen], second[chosen] = plane(one[chosen], other[chosen])
    return first, second


def _plane_of_pole(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return pairs of footprints as polygons in metres around their pole."""
    side = np.where(one[..., 1].mean(axis=1, keepdims=True) > 0, 1.0, -1.0)

    def plane(corners: NDArray[np.float64]) -> NDArray[np.object_]:
        away = np.radians(90 - side * corners[..., 1]) * _POLAR_RADIUS_M
        angle = np.radians(corners[..., 0])
        at = np.stack([away * np.cos(angle), away * np.sin(angle)], axis=-1)
        return shapely.polygons(at)

    return plane(one), plane(other)


def _plane_of_pair(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return pairs of footprints as polygons in metres around each pair."""
    origin_lon = one[:, :1, 0]
    turns = np.round((other[:, :1, 0] - origin_lon) / 360) * 360
    lat = np.radians(np.concatenate([one[..., 1], other[..., 1]], axis=1)).mean(axis=1)
    across, along = metres_per_degree(lat).T[..., None]

    def plane(corners: NDArray[np.float64], turn: NDArray[np.float64] | float) -> NDArray[np.object_]:
        x = (corners[..., 0] - turn - origin_lon) * across
        return shapely.polygons(np.stack([x, corners[..., 1] * along], axis=-1))

    return plane(one, 0.0), plane(other, turns)


def metres_per_degree(lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (places, 2) metres per degree along the parallel and along the meridian.

    By the radii of curvature of the ellipsoid, N cos(latitude) and M.

    Args:
        lat: (places,) latitudes in radians.
    """
    normal = _EQUATOR_M / np.sqrt(1 - _ECCENTRICITY2 * np.sin(lat) ** 2)
    meridian = normal**3 * (1 - _ECCENTRICITY2) / _EQUATOR_M**2
    return np.radians(np.stack([normal * np.cos(lat), meridian], axis=1))
