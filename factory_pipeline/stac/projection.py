"""Longitude and latitude to the coordinates of a grid, and back."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

Axis = NDArray[np.float64]


@lru_cache(maxsize=256)
def _from_degrees(epsg: int) -> Transformer:
    return Transformer.from_crs(4326, epsg, always_xy=True)


def from_degrees(epsg: int, longitude: Axis, latitude: Axis) -> tuple[Axis, Axis]:
    """x and y of places in degrees (WGS 84); infinite where a place can't be shown in the CRS."""
    x, y = _from_degrees(epsg).transform(longitude, latitude)
    return np.asarray(x), np.asarray(y)


def to_degrees(epsg: int, x: Axis, y: Axis) -> tuple[Axis, Axis]:
    """Longitude (-180..180) and latitude (WGS 84) of places in a CRS."""
    longitude, latitude = _from_degrees(epsg).transform(x, y, direction="INVERSE")
    return np.asarray(longitude), np.asarray(latitude)
