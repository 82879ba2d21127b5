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
REACH_DEGREES = 12.0
"""Of longitude from a zone's central meridian: twice as far as its windows reach."""
LEAST_WHOLE_SIDE = 2.0
"""Side of a window, in the units of the CRS, from which on the whole part of a coordinate tells windows
apart."""
LATTICE_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "longitude": pl.Float64(),
    "latitude": pl.Float64(),
    "share": pl.Float64(),
}
"""`longitude` and `latitude` are of the centre of pixel [size // 2, size // 2], so that `windows_around`
returns the window; `share` is the part of the window that the area covers."""


def area_of(bounds: tuple[float, float, float, float]) -> shapely.Geometry:
    """Return an area as a geometry; one that crosses the antimeridian in two parts.

    Args:
        bounds: west, south, east, north in degrees; west greater than east means across the antimeridian.
    """
    west, south, east, north = bounds
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union_all([shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)])


def covering_windows(area: Sequence[shapely.Geometry], window: Window) -> pl.DataFrame:
    """Return the windows of a grid that meet an area, in LATTICE_SCHEMA, by zone, then from north to south.

    Args:
        area: polygons in degrees (WGS 84), between -180 and 180.
        window: of the recipe.
    """
    pieces = shapely.get_parts(shapely.union_all(np.array(area, dtype=object)))
    pieces = pieces[(shapely.get_dimensions(pieces) == 2) & ~shapely.is_empty(pieces)]
    near = {epsg: _near_zone(pieces, epsg, window) for epsg in _zones(pieces, window)}
    parts = [_of_zone(part, epsg, window) for epsg, part in near.items() if not part.is_empty]
    return pl.concat([pl.DataFrame(schema=LATTICE_SCHEMA), *parts])


def _zones(pieces: NDArray[np.object_], window: Window) -> list[int]:
    """Return the EPSG codes of the CRSs of the windows of an area."""
    if isinstance(window.crs, int):
        return [window.crs]
    bounds = shapely.bounds(pieces).reshape(-1, 4)
    west, south, east, north = bounds.T
    codes = set(utm_zone(np.concatenate([west, west, east, east]), np.tile(np.append(south, north), 2)))
    for low_x, low_y, high_x, high_y in bounds[np.maximum(east - west, north - south) > 1].tolist():
        longitude, latitude = np.meshgrid(_steps(low_x, high_x), _steps(low_y, high_y))
        codes |= set(utm_zone(longitude.ravel(), latitude.ravel()))
    return sorted(map(int, codes))


def _steps(low: float, high: float) -> NDArray[np.float64]:
    """Return coordinates from one to another, a degree apart at most."""
    return np.linspace(low, high, 2 + int(np.ceil(high - low)))


def _near_zone(pieces: NDArray[np.object_], epsg: int, window: Window) -> shapely.Geometry:
    """Return what of an area the windows of a zone may meet: far from a zone UTM has no coordinates."""
    near, wide = pieces, np.zeros(len(pieces), np.bool_)
    if not isinstance(window.crs, int):
        meridian = 6 * (epsg % 100) - 183
        turns = np.array([-360, 0, 360]) + meridian
        band = shapely.union_all(shapely.box(turns - REACH_DEGREES, -90, turns + REACH_DEGREES, 90))
        near = pieces[shapely.intersects(pieces, band)]
        wide = ~shapely.covers(band, near)
    if wide.any():
        return shapely.union_all(np.where(wide, shapely.intersection(near, band), near))
    return near[0] if len(near) == 1 else shapely.multipolygons(near)


def _of_zone(area: shapely.Geometry, epsg: int, window: Window) -> pl.DataFrame:
    ground = project(area, epsg)
    side = window.size * window.pixel_size
    rows, columns = _cells(ground, side)
    x, y = columns * side, rows * side
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
            "id": [
                f"{epsg}_{_format(left, side)}_{_format(low + side, side)}"
                for left, low in zip(x.tolist(), y.tolist(), strict=True)
            ],
            "longitude": longitude,
            "latitude": latitude,
            "share": share,
        },
        schema=LATTICE_SCHEMA,
    )
    return table.filter(pl.Series(own))


def _cells(ground: shapely.Geometry, side: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return row and column of the cells that an area may meet, from north to south, then from west to east.

    Cells between its pieces are left out: of fields on two continents there are too many of them.

    Args:
        ground: in the CRS of the grid.
        side: of a cell, in the units of the CRS; cell [0, 0] begins at the origin.
    """
    left, bottom, right, top = (shapely.bounds(shapely.get_parts(ground)) / side).T
    edges = np.stack([np.floor(bottom), np.ceil(top), np.floor(left), np.ceil(right)], axis=1)
    first = edges[:, 2].min()
    across = int(edges[:, 3].max() - first)
    # One number for a cell, in the order of cells.
    numbers = [
        ((np.arange(1 - north, 1 - south) * across)[:, None] + (np.arange(west, east) - first)).ravel()
        for south, north, west, east in np.unique(edges, axis=0).tolist()
    ]
    down, column = np.divmod(np.unique(np.concatenate(numbers)), across)
    return 0 - down, column + first


def _format(coordinate: float, side: float) -> str:
    """Return a coordinate as part of an id, which differs between neighbours also where a side is short."""
    return str(int(coordinate)) if side >= LEAST_WHOLE_SIDE else f"{coordinate:.12g}"


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
