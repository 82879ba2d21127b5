"""Which images lie on the same ground: footprints, pairs that overlap, and the groups that pairs form."""

from collections.abc import Iterable

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

from factory_pipeline.crs_transformer import crs_transformer

SHARED_SHARE = 1e-3
"""Two images overlap where they share more than this part of the smaller one.

Neighbours in a mosaic share an edge, and after the change to degrees a sliver: half a row of a 512-pixel
image is not an overlap."""

FOOTPRINT_COLUMNS = ("epsg", "transform", "width", "height", "bounds")
"""What `footprints` needs of an item."""
_EQUATOR_M = 6_378_137.0
_ECCENTRICITY2 = 0.00669437999014
"""Semi-major axis and squared eccentricity of WGS 84."""
_SHORTEST_DEGREE_M = 110_500.0
"""No degree of latitude is shorter."""
_POLAR_LATITUDE = 80.0
"""Beyond it, two footprints are compared in a plane around the pole."""
_POLAR_CAP = 89.0
"""A footprint that reaches beyond it counts as at the pole, though it may not hold it."""
_POLAR_RADIUS_M = 6_399_593.6
"""Radius of curvature of WGS 84 at a pole."""
_CHUNK = 4096
"""Footprints looked up at a time, which bounds the memory for candidates."""


def footprints(items: pl.DataFrame) -> NDArray[np.float64]:
    """The four corners of each image in WGS 84.

    Args:
        items: `epsg`, `transform` (a, b, c, d, e, f of the affine map from column and row), `width`,
            `height`, and `bounds` (west, south, east, north in degrees), which stands in where the others
            are null.

    Returns:
        (items, 4, 2) longitude and latitude in degrees, the longitudes of an image without a jump at 180
        (they may pass it); NaN for an image that is not georeferenced.
    """
    parts = [_footprints(part) for part in items.iter_slices(_CHUNK)]
    return np.concatenate(parts) if parts else np.empty((0, 4, 2))


def _footprints(items: pl.DataFrame) -> NDArray[np.float64]:
    corners = np.full((items.height, 4, 2), np.nan)
    rows = items.select(FOOTPRINT_COLUMNS).with_row_index("row")
    exact = rows.filter(pl.col("epsg").is_not_null() & pl.col("transform").is_not_null())
    for (epsg,), group in exact.group_by("epsg"):
        affine = _rows_of(group["transform"], 6)
        width = group["width"].to_numpy().astype(np.float64)
        height = group["height"].to_numpy().astype(np.float64)
        columns = np.stack([width * 0, width, width, width * 0], axis=1)
        lines = np.stack([height * 0, height * 0, height, height], axis=1)
        x = affine[:, 0:1] * columns + affine[:, 1:2] * lines + affine[:, 2:3]
        y = affine[:, 3:4] * columns + affine[:, 4:5] * lines + affine[:, 5:6]
        lon, lat = crs_transformer(epsg, 4326).transform(x, y)
        corners[group["row"].to_numpy()] = np.stack([lon, lat], axis=-1)
    boxes = rows.filter(
        (pl.col("epsg").is_null() | pl.col("transform").is_null()) & pl.col("bounds").is_not_null()
    )
    if boxes.height:
        west, south, east, north = _rows_of(boxes["bounds"], 4).T
        east = np.where(east < west, east + 360, east)
        lon = np.stack([west, east, east, west], axis=1)
        lat = np.stack([north, north, south, south], axis=1)
        # Bounds all around a pole: the square whose corners lie at their lowest latitude.
        around = east - west >= 360
        lon[around] = [-135.0, -45.0, 45.0, 135.0]
        lat[around] = np.where(np.abs(north) > np.abs(south), south, north)[around, None]
        corners[boxes["row"].to_numpy()] = np.stack([lon, lat], axis=-1)
    corners[~np.isfinite(corners).all(axis=(1, 2))] = np.nan
    first = corners[:, :1, 0]
    corners[:, :, 0] = first + (corners[:, :, 0] - first + 180) % 360 - 180
    return corners


def _rows_of(lists: pl.Series, width: int) -> NDArray[np.float64]:
    return lists.explode().to_numpy().astype(np.float64).reshape(-1, width)


def at_pole(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each footprint holds a pole, or reaches so near to one that its longitudes mean little.

    Args:
        corners: (items, 4, 2) longitude and latitude in degrees; False for a footprint of NaN.
    """
    lon = corners[:, :, 0]
    steps = (np.roll(lon, -1, axis=1) - lon + 180) % 360 - 180
    return (np.abs(steps.sum(axis=1)) > 180) | (np.abs(corners[:, :, 1]).max(axis=1) > _POLAR_CAP)


def grounds(corners: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The different footprints, and which of them each image has.

    Args:
        corners: (items, 4, 2) longitude and latitude in degrees.

    Returns:
        (items,) number of the footprint, -1 for one of NaN; (footprints, 4, 2).
    """
    placed = np.isfinite(corners).all(axis=(1, 2))
    different, numbers = np.unique(corners[placed].reshape(-1, 8), axis=0, return_inverse=True)
    ground = np.full(len(corners), -1, dtype=np.int64)
    ground[placed] = numbers.reshape(-1)
    return ground, different.reshape(-1, 4, 2)


def near_pairs(corners: NDArray[np.float64], distance_m: float = 0.0) -> NDArray[np.int64]:
    """Every pair of footprints that overlap, or lie less than `distance_m` metres apart.

    Measured in a plane around each pair, by the ellipsoid's radii at its latitude, which is exact enough for
    images up to some hundred kilometres; near a pole in a plane around it, true to distances from the pole.

    Args:
        corners: (items, 4, 2) longitude and latitude in degrees; a footprint of NaN is near nothing.
        distance_m: 0 for overlap alone.

    Returns:
        (pairs, 2) positions, the lower first, sorted.
    """
    places = np.flatnonzero(np.isfinite(corners).all(axis=(1, 2)))
    if places.size < 2:
        return np.empty((0, 2), dtype=np.int64)
    bounds = _bounds(corners[places], distance_m)
    northward = np.argsort(bounds[:, 1], kind="stable")
    found = []
    for start in range(0, places.size, _CHUNK):
        some = northward[start : start + _CHUNK]
        # A tree of all of them would take more memory than anything else that is known of a million images.
        beside = (bounds[:, 1] <= bounds[some, 3].max()) & (bounds[:, 3] >= bounds[some, 1].min())
        others = np.flatnonzero(beside)
        tree = shapely.STRtree(shapely.box(*bounds[others].T))
        for turn in (0.0, 360.0):
            looked_up = shapely.box(*(bounds[some] + np.array([turn, 0.0, turn, 0.0])).T)
            one, other = tree.query(looked_up, predicate="intersects")
            pair = places[np.stack([some[one], others[other]])]
            pair = pair[:, pair[0] < pair[1]] if not turn else np.sort(pair[:, pair[0] != pair[1]], axis=0)
            found.append(pair[:, _near(corners[pair[0]], corners[pair[1]], distance_m)])
    return np.unique(np.concatenate(found, axis=1).T, axis=0)


def groups_of(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """The group of each of `count` members, where `pairs` belong together: the lowest member's number."""
    parent = list(range(count))

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.array([root(member) for member in range(count)], dtype=np.int64)


def _bounds(corners: NDArray[np.float64], distance_m: float) -> NDArray[np.float64]:
    """Bounds in degrees that surely intersect where two footprints are near each other."""
    low, high = corners.min(axis=1), corners.max(axis=1)
    polar = at_pole(corners)
    low[polar, 0], high[polar, 0] = -180.0, 180.0
    northern = polar & (low[:, 1] + high[:, 1] > 0)
    high[northern, 1], low[polar & ~northern, 1] = 90.0, -90.0
    lat_margin = distance_m / _SHORTEST_DEGREE_M / 2
    steepest = np.maximum(np.abs(low[:, 1]), np.abs(high[:, 1])) + 2 * lat_margin
    # The other footprint of a pair may lie nearer to the pole, but not by more than the margin.
    lon_margin = lat_margin / np.maximum(np.cos(np.radians(steepest)), 1e-3)
    margin = np.stack([lon_margin, np.full_like(lon_margin, lat_margin)], axis=1)
    return np.concatenate([low - margin, high + margin], axis=1)


def _near(one: NDArray[np.float64], other: NDArray[np.float64], distance_m: float) -> NDArray[np.bool_]:
    both = np.concatenate([one, other], axis=1)
    polar = at_pole(one) | at_pole(other) | (np.abs(both[..., 1]).max(axis=1) > _POLAR_LATITUDE)
    near = np.zeros(len(one), dtype=np.bool_)
    for chosen, plane in ((polar, _plane_of_pole), (~polar, _plane_of_pair)):
        if chosen.any():
            first, second = plane(one[chosen], other[chosen])
            smaller = np.minimum(shapely.area(first), shapely.area(second))
            found = shapely.area(shapely.intersection(first, second)) > SHARED_SHARE * smaller
            if distance_m > 0:
                found |= shapely.distance(first, second) < distance_m
            near[chosen] = found
    return near


def _plane_of_pole(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Pairs of footprints as polygons in metres around their pole."""
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
    """Pairs of footprints as polygons in metres around each pair."""
    origin_lon = one[:, :1, 0]
    turns = np.round((other[:, :1, 0] - origin_lon) / 360) * 360
    lat = np.radians(np.concatenate([one[..., 1], other[..., 1]], axis=1)).mean(axis=1, keepdims=True)
    # Radii of curvature of the ellipsoid along the parallel (N cos) and the meridian (M).
    across = _EQUATOR_M / np.sqrt(1 - _ECCENTRICITY2 * np.sin(lat) ** 2)
    along = across**3 * (1 - _ECCENTRICITY2) / _EQUATOR_M**2

    def plane(corners: NDArray[np.float64], turn: NDArray[np.float64] | float) -> NDArray[np.object_]:
        x = np.radians(corners[..., 0] - turn - origin_lon) * across * np.cos(lat)
        return shapely.polygons(np.stack([x, np.radians(corners[..., 1]) * along], axis=-1))

    return plane(one, 0.0), plane(other, turns)
