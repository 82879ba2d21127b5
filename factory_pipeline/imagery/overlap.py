"""Which images cover the same ground: the pairs of footprints that overlap or are near each other.

Pairs are found without holding all of them: a tree of bounding boxes per band of latitude gives candidates,
most of which are decided by the boxes around and inside the footprints; only the others are compared as
polygons.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

from factory_pipeline.imagery.footprints import at_pole, by_parts, footprints
from factory_pipeline.imagery.local_planes import POLAR_LATITUDE, metres_per_degree, project_to_planes

INSET_PIXELS = 0.25
"""Two images overlap where they share more than twice this in both directions.

Neighbours in a mosaic share an edge, and after the change to degrees a sliver: less than half a pixel is not
an overlap, and a single pixel is."""
_INSET_SHARE = 1e-6
"""The same for an image of which only the bounds are known, as a part of its side."""

_SHORTEST_DEGREE_M = 110_500.0
"""Metres of the shortest degree of latitude."""
_POLAR_SHARED_SHARE = 1e-3
"""Such footprints overlap where they share more than this part of the smaller one."""
_LOOKED_UP = 1024
"""Footprints whose neighbours are looked up at a time, which bounds the memory for candidates."""
_COMPARED = 1 << 20
"""Pairs compared at a time."""
SAME_PLACE_DEGREES = 1e-7
"""Footprints whose corners differ by less, which is a centimetre, are one."""


def number_rows(table: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give equal rows the same number.

    Args:
        table: columns of integers without a name `row`.

    Returns:
        (rows,) the number of each, counted in the order of their first rows; and (numbers,) those first rows.
    """
    keys = table.columns
    # Only rows of one hash are compared: to group all of a million by eight columns takes half a gigabyte.
    alike = table.hash_rows().is_duplicated()
    first = np.arange(table.height)
    compared = table.with_row_index("row").filter(alike)
    first[alike.to_numpy()] = compared.select(pl.col("row").min().over(keys))["row"].to_numpy()
    firsts = np.flatnonzero(first == np.arange(len(first)))
    return np.searchsorted(firsts, first), firsts


def placed_corners(
    items: pl.DataFrame,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return where images are.

    Args:
        items: as for `footprints`.

    Returns:
        Positions of the images that are georeferenced; (positions, 4, 2) their corners as those of `Ground`;
        and (positions, 2) their width and height in pixels, NaN where unknown.
    """
    corners = footprints(items)
    placed = np.flatnonzero(np.isfinite(corners[:, 0, 0]))
    corners = corners[placed]
    polar = by_parts(at_pole, corners)
    west = corners[..., 0].min(axis=1)
    corners[..., 0] -= np.where(polar, 0.0, np.floor((west + 180) / 360) * 360)[:, None]
    sizes = items.select(
        *(pl.col(side).cast(pl.Float64).fill_null(np.nan) for side in ("width", "height"))
    ).to_numpy()[placed]
    return placed, corners, sizes


@dataclass(frozen=True)
class Ground:
    """The different footprints of some images, and which of them each image has."""

    number: NDArray[np.int64]
    """(images,) position of its footprint; -1 for an image that is not georeferenced."""
    corners: NDArray[np.float64]
    """(footprints, 4, 2) longitude and latitude in degrees, the western edge from -180 to 180."""
    inset: NDArray[np.float64]
    """(footprints, 4, 2) the same, less INSET_PIXELS at each side."""

    @classmethod
    def of(cls, items: pl.DataFrame) -> Self:
        """Find the footprints of images.

        Args:
            items: as for `footprints`.
        """
        placed, corners, sizes = placed_corners(items)
        different = cls.of_corners(corners, sizes)
        number = np.full(items.height, -1, dtype=np.int64)
        number[placed] = different.number
        return cls(number, different.corners, different.inset)

    @classmethod
    def of_corners(cls, corners: NDArray[np.float64], sizes: NDArray[np.float64]) -> Self:
        """Find the footprints of images that are all georeferenced.

        Args:
            corners: (images, 4, 2) as `placed_corners` returns them.
            sizes: (images, 2) the same.
        """
        keys = [f"corner {column}" for column in range(8)]
        rounded = by_parts(round_corners, corners)
        number, firsts = number_rows(pl.DataFrame(rounded.reshape(-1, 8), schema=keys))
        chosen = corners[firsts]
        polar = by_parts(at_pole, chosen)
        return cls(number, chosen, by_parts(_inset, chosen, sizes[firsts], polar))

    @cached_property
    def _boxes(self) -> "_Boxes":
        return _Boxes(self.inset)

    def pairs(self, distance_m: float = 0.0) -> Iterator[NDArray[np.int64]]:
        """Yield every pair of footprints that overlap, or lie less than `distance_m` metres apart.

        Measured in a plane around each pair, by the ellipsoid's radii at its latitude, which is exact enough
        for images up to some hundred kilometres; near a pole in a plane around it, true to distances from
        the pole.

        Args:
            distance_m: 0 for overlap alone.

        Yields:
            (pairs, 2) positions in `corners`, the lower first; each pair once.
        """
        for candidates in self.candidates(distance_m):
            near = self.are_near(candidates, distance_m)
            yield np.sort(candidates[near], axis=1)

    def candidates(self, distance_m: float = 0.0) -> Iterator[NDArray[np.int64]]:
        """Yield the pairs of footprints whose bounds meet: all that `are_near` can be true of.

        Args:
            distance_m: as for `pairs`.

        Yields:
            (pairs, 2) positions in `corners`; each pair once.
        """
        bounds = search_bounds(self.corners if distance_m > 0 else self.inset, distance_m)
        northward = np.argsort(bounds[:, 1], kind="stable")
        bounds = bounds[northward]
        south = np.ascontiguousarray(bounds[:, 1])
        westmost, eastmost = bounds[:, 0].min(initial=0.0), bounds[:, 2].max(initial=0.0)
        for start in range(0, len(bounds), _LOOKED_UP):
            some = bounds[start : start + _LOOKED_UP]
            # A footprint's partners further south have found it already.
            end = int(np.searchsorted(south, some[:, 3].max(), side="right"))
            boxes = shapely.box(*bounds[start:end].T)
            tree = shapely.STRtree(boxes)
            for turn in (0.0, 360.0, -360.0):
                turned = some + np.array([turn, 0.0, turn, 0.0])
                seen = np.flatnonzero((turned[:, 0] <= eastmost) & (turned[:, 2] >= westmost))
                if not seen.size:
                    continue
                one, other = tree.query(shapely.box(*turned[seen].T) if turn else boxes[seen])
                one = seen[one]
                found = one < other
                if turn:
                    # Around a pole, bounds meet whichever way they are turned.
                    first, second = bounds[start + one], bounds[start + other]
                    found &= (first[:, 0] > second[:, 2]) | (first[:, 2] < second[:, 0])
                yield from _split_pairs(northward[start + np.stack([one[found], other[found]], axis=1)])

    def are_near(self, pairs: NDArray[np.int64], distance_m: float = 0.0) -> NDArray[np.bool_]:
        """Return for each pair of footprints whether they overlap, or lie less than `distance_m` apart.

        Args:
            pairs: (pairs, 2) positions in `corners`.
            distance_m: as for `pairs`.
        """
        near = np.zeros(len(pairs), dtype=np.bool_)
        for start in range(0, len(pairs), _COMPARED):
            part = pairs[start : start + _COMPARED]
            near[start : start + _COMPARED] = self._are_near(part, distance_m)
        return near

    def _are_near(self, pairs: NDArray[np.int64], distance_m: float) -> NDArray[np.bool_]:
        boxes = self._boxes if distance_m <= 0 else self._full_boxes
        corners = self.inset if distance_m <= 0 else self.corners
        sure, open_ = boxes.compare(pairs, distance_m)
        if open_.any():
            one, other = pairs[open_].T
            sure[open_] = _are_near(corners[one], corners[other], distance_m)
        return sure

    @cached_property
    def _full_boxes(self) -> "_Boxes":
        return _Boxes(self.corners)

    def shared_shares(self, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return for each pair of footprints which part of the smaller one both share, 0 to 1.

        Args:
            pairs: (pairs, 2) positions in `corners`.
        """
        one, other = project_to_planes(self.corners[pairs[:, 0]], self.corners[pairs[:, 1]])
        smaller = np.minimum(shapely.area(one), shapely.area(other))
        shared = shapely.area(shapely.intersection(one, other))
        return np.divide(shared, smaller, out=np.zeros(len(pairs)), where=smaller > 0)

    def largest_shares(self, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return an upper bound of `shared_shares`, which is much quicker to compute."""
        return self._full_boxes.largest_shares(pairs)

    def distances(self, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return for each pair of footprints how far they are apart, in metres."""
        one, other = project_to_planes(self.corners[pairs[:, 0]], self.corners[pairs[:, 1]])
        return shapely.distance(one, other)


@dataclass(frozen=True)
class _Boxes:
    """Boxes around and inside footprints, by which most pairs are decided; all in degrees.

    Each array is made when it is needed, as not every search needs all of them.
    """

    corners: NDArray[np.float64]
    """(footprints, 4, 2)."""

    @cached_property
    def around(self) -> NDArray[np.float64]:
        """(footprints, 4) west, south, east, north."""
        return by_parts(_box_around, self.corners)

    @cached_property
    def inside(self) -> NDArray[np.float64]:
        """(footprints, 4) the same; empty (west above east) where there is none that surely lies inside."""
        return by_parts(_box_inside, self.corners)

    @cached_property
    def area(self) -> NDArray[np.float64]:
        """(footprints,)."""
        return by_parts(_area, self.corners)

    @cached_property
    def polar(self) -> NDArray[np.bool_]:
        """(footprints,) True where only polygons around the pole can be compared."""
        return by_parts(_is_polar, self.corners)

    def compare(
        self, pairs: NDArray[np.int64], distance_m: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return for each pair whether it is surely near, and whether only its polygons can tell."""
        one, other = pairs.T
        polar = self.polar[one] | self.polar[other]
        outer = self._gaps(self.around, one, other)
        inner = self._gaps(self.inside, one, other)
        if distance_m <= 0:
            apart, sure = (outer > 0).any(axis=1), (inner <= 0).all(axis=1)
        else:
            latitudes = np.concatenate([self.around[one][:, 1::2], self.around[other][:, 1::2]], axis=1)
            metres = metres_per_degree(np.radians(latitudes.mean(axis=1)))
            # The scale is not quite that of the plane of the pair.
            outer_m = np.hypot(*(np.maximum(outer, 0) * metres).T)
            inner_m = np.hypot(*(np.maximum(inner, 0) * metres).T)
            apart, sure = outer_m > 1.01 * distance_m, inner_m < 0.99 * distance_m
        return sure & ~polar, ~sure & ~apart | polar

    def largest_shares(self, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        one, other = pairs.T
        shared = np.maximum(-self._gaps(self.around, one, other), 0).prod(axis=1)
        smaller = np.minimum(self.area[one], self.area[other])
        shares = np.minimum(np.divide(shared, smaller, out=np.ones(len(pairs)), where=smaller > 0), 1.0)
        return np.where(self.polar[one] | self.polar[other], 1.0, shares)

    @staticmethod
    def _gaps(
        boxes: NDArray[np.float64], one: NDArray[np.int64], other: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return (pairs, 2) how far boxes are apart in longitude and latitude; below zero they share."""
        first, second = boxes[one], boxes[other]
        finite = np.isfinite(first[:, 0]) & np.isfinite(second[:, 0])
        turn = np.subtract(first[:, 0], second[:, 0], out=np.zeros(len(first)), where=finite)
        second = second + (np.round(turn / 360) * 360)[:, None] * np.array([1.0, 0.0, 1.0, 0.0])
        return np.maximum(first[:, :2], second[:, :2]) - np.minimum(first[:, 2:], second[:, 2:])


def _split_pairs(pairs: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(pairs), _COMPARED):
        yield pairs[start : start + _COMPARED]


def round_corners(corners: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return corners in SAME_PLACE_DEGREES, which are equal where the footprint is the same."""
    return np.round(corners / SAME_PLACE_DEGREES).astype(np.int64)


def _box_around(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def _box_inside(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    ordered = np.sort(corners, axis=1)
    inside = np.concatenate([ordered[:, 1], ordered[:, 2]], axis=1)
    inside[~_contains_boxes(corners, inside)] = [np.inf, np.inf, -np.inf, -np.inf]
    return inside


def _area(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = corners[..., 0], corners[..., 1]
    after_x, after_y = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    return np.abs((x * after_y - after_x * y).sum(axis=1)) / 2


def _is_polar(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    return at_pole(corners) | (np.abs(corners[..., 1]).max(axis=1, initial=0.0) > POLAR_LATITUDE)


def _inset(
    corners: NDArray[np.float64], sizes: NDArray[np.float64], polar: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Cut INSET_PIXELS off at each side; where the size in pixels is unknown, next to nothing.

    Around a pole nothing is cut off.
    """
    share = np.nan_to_num(INSET_PIXELS / np.maximum(sizes, 1), nan=_INSET_SHARE)
    upper_left, upper_right, _, lower_left = (corners[:, number] for number in range(4))
    across = (upper_right - upper_left) * share[:, :1]
    down = (lower_left - upper_left) * share[:, 1:]
    cut = corners + np.stack([across + down, down - across, -across - down, across - down], axis=1)
    return np.where(polar[:, None, None], corners, cut)


def _contains_boxes(corners: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return for each footprint, if it is convex, whether its box lies inside it."""
    turning = np.roll(corners, -1, axis=1) - corners
    bends = _cross(turning, np.roll(turning, -1, axis=1))
    side = np.sign(bends[:, :1])
    held = ((bends * side > 0).all(axis=1)) & (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    slack = -1e-9 * np.abs(turning).max(axis=(1, 2))[:, None] ** 2
    for x, y in ((0, 1), (2, 1), (2, 3), (0, 3)):
        at = np.stack([boxes[:, x], boxes[:, y]], axis=1)[:, None]
        held &= (_cross(turning, at - corners) * side >= slack).all(axis=1)
    return held


def _cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]


def latitude_margin(distance_m: float) -> float:
    """Return the degrees by which `search_bounds` are larger than a footprint, to the south and the north."""
    return distance_m / _SHORTEST_DEGREE_M / 2


def search_bounds(corners: NDArray[np.float64], distance_m: float) -> NDArray[np.float64]:
    """Return bounds in degrees that certainly intersect if two footprints are near each other.

    Args:
        corners: (footprints, 4, 2) as those of `Ground`.
        distance_m: as for `Ground.pairs`.

    Returns:
        (footprints, 4) west, south, east, north.
    """
    low, high = corners.min(axis=1), corners.max(axis=1)
    polar = at_pole(corners)
    low[polar, 0], high[polar, 0] = -180.0, 180.0
    northern = polar & (low[:, 1] + high[:, 1] > 0)
    high[northern, 1], low[polar & ~northern, 1] = 90.0, -90.0
    lat_margin = latitude_margin(distance_m)
    steepest = np.maximum(np.abs(low[:, 1]), np.abs(high[:, 1])) + 2 * lat_margin
    # The other footprint of a pair may be nearer to the pole, but not by more than the margin.
    lon_margin = lat_margin / np.maximum(np.cos(np.radians(steepest)), 1e-3)
    margin = np.stack([lon_margin, np.full_like(lon_margin, lat_margin)], axis=1)
    return np.concatenate([low - margin, high + margin], axis=1)


def _are_near(one: NDArray[np.float64], other: NDArray[np.float64], distance_m: float) -> NDArray[np.bool_]:
    first, second = project_to_planes(one, other)
    if distance_m > 0:
        return shapely.distance(first, second) < distance_m
    near = shapely.intersects(first, second)
    # Around a pole degrees can't be cut off.
    polar = np.flatnonzero(near & (at_pole(one) | at_pole(other)))
    smaller = np.minimum(shapely.area(first[polar]), shapely.area(second[polar]))
    shared = shapely.area(shapely.intersection(first[polar], second[polar]))
    near[polar] = shared > _POLAR_SHARED_SHARE * smaller
    return near
