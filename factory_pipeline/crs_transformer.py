"""Transformations between coordinate reference systems: each is created once per process."""

from functools import lru_cache

from pyproj import CRS, Transformer


@lru_cache(maxsize=256)
def crs_transformer(source: int | str, target: int | str) -> Transformer:
    """Return the transformation from one CRS to another.

    Both in the order x, y (longitude, latitude in degrees). Creating one takes milliseconds, as PROJ searches
    its database, so it is cached. Threads may share one.

    Args:
        source: EPSG code, WKT, or another text that pyproj accepts, such as `EPSG:4326`.
        target: as `source`.

    Raises:
        pyproj.exceptions.CRSError: one of them is not a CRS.
    """
    return Transformer.from_crs(source, target, always_xy=True)


@lru_cache(maxsize=256)
def is_geographic(crs: int | str) -> bool:
    """Return whether the coordinates of a CRS are longitude and latitude.

    Args:
        crs: as those of `crs_transformer`.
    """
    return bool(CRS.from_user_input(crs).is_geographic)
