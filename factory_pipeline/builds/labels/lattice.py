"""Windows of a grid over an area: each in the UTM zone of its centre, no two overlap within a zone."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

from factory_pipeline.config.raster_sources import Window
from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.stac.projection import to_degrees
from factory_pipeline.stac.utm_zones import utm_zone

SEGMENT_DEGREES = 0.05
"""Longest piece of an outline's edge that is projected as a straight line."""
LATTICE_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "longitude": pl.Float64(),
    "latitude": pl.Float64(),
    "share": pl.Float64(),
}
"""`longitude` and `latitude` are of the centre of pixel [size // 2, size // 2], so that `windows_around`
returns the window; `share` is the part of the window that the area covers."""


def covering_windows(area: Sequence[shapely.Geometry], window: Window) -> pl.DataFrame:
    """Return the windows of a grid that meet an area, in LATTICE_SCHEMA, by zone, then from north to south.

    Args:
        area: polygons in degrees (WGS 84).
        window: of the recipe.
    """
    parts = [pl.DataFrame(schema=LATTICE_SCHEMA)]
    whole = shapely.union_all(np.array(area, dtype=object))
    if not whole.is_empty:
        parts += [_of_zone(whole, int(epsg), window) for epsg in _zones(whole, window)]
    return pl.concat(parts)


def _zones(area: shapely.Geometry, window: Window) -> list[int]:
    """The CRS of the windows of an area."""
    if isinstance(window.crs, int):
        return [window.crs]
    west, south, east, north = area.bounds
    longitude, latitude = np.meshgrid(_steps(west, east), _steps(south, north))
    return sorted(set(utm_zone(longitude.ravel(), latitude.ravel()).tolist()))


def _steps(low: float, high: float) -> NDArray[np.float64]:
    """Places from one to another, a degree apart at most."""
    return np.linspace(low, high, 2 + int(np.ceil(high - low)))


def _of_zone(area: shapely.Geometry, epsg: int, window: Window) -> pl.DataFrame:
    ground = project(area, epsg)
    side = window.size * window.pixel_size
    left, bottom, right, top = ground.bounds
    columns = np.arange(np.floor(left / side), np.ceil(right / side))
    rows = np.arange(np.floor(bottom / side), np.ceil(top / side))[::-1]
    x, y = (axis.ravel() * side for axis in np.meshgrid(columns, rows))
    boxes = shapely.box(x, y, x + side, y + side)
    shapely.prepare(ground)
    share = shapely.area(shapely.intersection(boxes, ground)) / side**2
    middle = (window.size // 2 + 0.5) * window.pixel_size
    longitude, latitude = to_degrees(epsg, x + middle, y + side - middle)
    own = share > 0
    if not isinstance(window.crs, int):
        own &= utm_zone(longitude, latitude) == epsg
    table = pl.DataFrame(
        {
            "id": [f"{epsg}_{int(left)}_{int(low + side)}" for left, low in zip(x, y, strict=True)],
            "longitude": longitude,
            "latitude": latitude,
            "share": share,
        },
        schema=LATTICE_SCHEMA,
    )
    return table.filter(pl.Series(own))


def project(geometry: shapely.Geometry, epsg: int) -> shapely.Geometry:
    """Return a geometry in degrees (WGS 84) in another CRS.

    Args:
        geometry: longitude and latitude.
        epsg: of the other CRS.
    """
    transform = crs_transformer(4326, epsg).transform
    pieces = shapely.segmentize(geometry, SEGMENT_DEGREES)
    projected = shapely.transform(
        pieces, lambda points: np.stack(transform(points[:, 0], points[:, 1]), axis=1)
    )
    return projected if shapely.is_valid(projected) else shapely.make_valid(projected)
