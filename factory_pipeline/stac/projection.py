"""Longitude and latitude to the coordinates of a grid, and back."""

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.crs_transformer import crs_transformer

Axis = NDArray[np.float64]


def from_degrees(epsg: int, longitude: Axis, latitude: Axis) -> tuple[Axis, Axis]:
    """X and y of places in degrees (WGS 84); infinite where a place can't be shown in the CRS.

    Args:
        epsg: of the CRS.
        longitude: (n,) degrees.
        latitude: (n,) degrees.
    """
    x, y = crs_transformer(4326, epsg).transform(longitude, latitude)
    return np.asarray(x), np.asarray(y)


def to_degrees(epsg: int, x: Axis, y: Axis) -> tuple[Axis, Axis]:
    """Longitude (-180..180) and latitude (WGS 84) of places in a CRS.

    Args:
        epsg: of the CRS.
        x: (n,) in its units.
        y: (n,) in its units.
    """
    longitude, latitude = crs_transformer(4326, epsg).transform(x, y, direction="INVERSE")
    return np.asarray(longitude), np.asarray(latitude)
