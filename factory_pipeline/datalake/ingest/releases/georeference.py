"""Where an image of a release is on the Earth: between its pixels and longitude and latitude."""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from factory_pipeline.crs_transformer import crs_transformer, is_geographic
from factory_pipeline.imagery.map_points import map_points

DEGREES = "EPSG:4326"
"""CRS of all coordinates in a release, longitude first (WGS 84)."""
PIXEL_DIGITS = 6
"""Decimals of a pixel that are kept: transformations there and back differ by less."""
DEGREE_DIGITS = 13
"""Decimals of a degree that are written: 1e-13 degrees are 11 nanometres."""

Points = NDArray[np.float64]
"""(n, 2) x, y: column and row in pixels from the upper left corner, or longitude and latitude in degrees."""


@dataclass(frozen=True)
class Georeference:
    """The CRS, transform and size of an image."""

    crs: str
    """`EPSG:...`, or WKT."""
    transform: tuple[float, ...]
    """a, b, c, d, e, f of x = a * column + b * row + c, y = d * column + e * row + f."""
    width: int
    height: int

    def corners(self) -> Points:
        """Return the corners of the image in degrees: upper left, upper right, lower right, lower left.

        Longitudes have no jump at 180 degrees: they may pass it.
        """
        first = self._longitude_latitude(np.zeros((1, 2)))
        first[:, 0] -= 360 * np.round(first[:, 0] / 360)
        return self._wrap_near(self._longitude_latitude(self._frame()), first[0, 0])

    def outline(self) -> list[list[float]]:
        """Return the corners as a closed GeoJSON ring, as it is written in a release."""
        ring = self.corners().round(DEGREE_DIGITS).tolist()
        return [*ring, ring[0]]

    def to_degrees(self, points: Points) -> Points:
        """Return points of the image as longitude and latitude, rounded to DEGREE_DIGITS."""
        west = self.corners()[0, 0]
        return self._wrap_near(self._longitude_latitude(points), west).round(DEGREE_DIGITS)

    def to_pixels(self, points: Points) -> Points:
        """Return longitudes and latitudes as points of the image, rounded to PIXEL_DIGITS.

        Points that the CRS of the image has no place for are infinite.
        """
        x, y = crs_transformer(DEGREES, self.crs).transform(points[:, 0], points[:, 1])
        if is_geographic(self.crs):
            middle = np.mean(map_points(self.transform, self._frame()), axis=0)[0]
            x = x + 360 * np.round((middle - x) / 360)
        else:
            x, y = self._refine(x, y)
        inverse = tuple(~Affine(*self.transform))
        with np.errstate(invalid="ignore"):
            found = map_points(inverse, np.stack([x, y], axis=1)).round(PIXEL_DIGITS)
        # 0.0 and -0.0 are one place, but two texts.
        return np.where(np.isfinite(found), found + 0.0, np.inf)

    def _refine(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Return map coordinates that lead back to the same degrees.

        PROJ inverts equal-area projections by series, which are off by up to a millimetre.
        """
        back = crs_transformer(self.crs, DEGREES).transform(x, y)
        again = crs_transformer(DEGREES, self.crs).transform(*back)
        with np.errstate(invalid="ignore"):
            return [2 * first - second for first, second in zip((x, y), again, strict=True)]

    def _frame(self) -> Points:
        width, height = float(self.width), float(self.height)
        return np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])

    def _longitude_latitude(self, points: Points) -> Points:
        x, y = map_points(self.transform, points).T
        return np.stack(crs_transformer(self.crs, DEGREES).transform(x, y), axis=1)

    @staticmethod
    def _wrap_near(points: Points, longitude: float) -> Points:
        """Turn longitudes by 360 degrees, so that each is within 180 degrees of one."""
        points[:, 0] += 360 * np.round((longitude - points[:, 0]) / 360)
        return points
