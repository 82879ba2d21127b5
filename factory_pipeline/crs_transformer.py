"""Coordinates from one CRS to another: each transformation is made once in a process."""

from functools import lru_cache

from pyproj import Transformer


@lru_cache(maxsize=256)
def crs_transformer(source: int | str, target: int | str) -> Transformer:
    """From one CRS to another, both in the order x, y (longitude, latitude in degrees).

    Making one takes milliseconds, as PROJ looks through its database. Threads may share one.

    Args:
        source: EPSG code, WKT, or another text that pyproj knows, such as `EPSG:4326`.
        target: as `source`.

    Raises:
        pyproj.exceptions.CRSError: one of them is no CRS.
    """
    return Transformer.from_crs(source, target, always_xy=True)
