"""UTM zones of places."""

import numpy as np
from numpy.typing import NDArray

Axis = NDArray[np.float64]


def utm_zone(longitude: Axis, latitude: Axis) -> NDArray[np.int64]:
    """Return the EPSG code of the UTM zone of each place, with the exceptions of Norway and Svalbard.

    J. P. Snyder, Map projections: a working manual (USGS, 1987), 57-64; DMA TM 8358.1, 2-7.

    Args:
        longitude: degrees, -180 to 180.
        latitude: degrees; zones are defined from 80 south to 84 north, and continued beyond.
    """
    zone = np.clip(np.floor((longitude + 180) / 6).astype(np.int64) + 1, 1, 60)
    zone = np.where((latitude >= 56) & (latitude < 64) & (longitude >= 3) & (longitude < 12), 32, zone)
    svalbard = (latitude >= 72) & (longitude >= 0) & (longitude < 42)
    zone = np.where(svalbard, 31 + 2 * np.digitize(longitude, [9.0, 21.0, 33.0]), zone)
    return np.where(latitude < 0, 32700, 32600) + zone
