"""Which tiles of CopDEM and WorldCover a window touches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid
from factory_pipeline.stac.items import RasterTile, UnusableItem, count_reasons, parse_tiles
from factory_pipeline.stac.projection import to_degrees
from factory_pipeline.stac.providers import Catalog
from factory_pipeline.stac.query import Box, ItemQuery, parse_time
from factory_pipeline.stac.search_cache import Cell, CellSearch, search_all

MARGIN_DEGREES = {"copdem": 3 / 3600, "worldcover": 1 / 12_000}
"""How far around a window tiles count too, in degrees of latitude.

Three pixels of CopDEM, for bilinear resampling and slope need neighbours; one of WorldCover, which is
read by nearest. CopDEM's pixels get wider towards the poles, about as a degree gets shorter.
"""
MAP_YEARS = (2020, 2021)
"""The years of which there is a WorldCover map (v100 and v200)."""

Bounds = NDArray[np.float64]
"""(windows, 4): west, south, east, north in degrees; east may pass 180."""
METRES_OF_DEGREE = 110_574.0
"""Of a degree of latitude, at least."""
_SMALLEST_COSINE = 0.01
"""Nearer to a pole a square of degrees has no meaning."""
_ROUNDING = 1e-6
"""Degrees by which the edges of neighbouring tiles may miss each other."""


@dataclass(frozen=True)
class FoundTiles:
    """The tiles of windows, and what can't be used of what the search gave."""

    windows: list[tuple[RasterTile, ...]]
    """For each window the tiles that it touches, in the order of their ids; empty where there is none."""
    gaps: list[str]
    """For each window a sentence where it lacks a part because items can't be used, else an empty text."""
    unusable: tuple[UnusableItem, ...]
    """The items that can't be used, in the order of their ids."""


def map_year(year: int) -> int:
    """Return the year of the WorldCover map for a shot: 2020 up to 2020, 2021 after."""
    return min(max(year, MAP_YEARS[0]), MAP_YEARS[-1])


def find_tiles(
    catalog: Catalog,
    layer: str,
    grids: Sequence[Grid],
    years: Sequence[int] | None = None,
    cache: Path | None = None,
) -> FoundTiles:
    """For each window the tiles that it touches.

    Args:
        catalog: where to search.
        layer: `copdem` or `worldcover`.
        grids: the windows; all within a few kilometres in size.
        years: for each window the year of its shot, for WorldCover; None if tiles have no year.
        cache: a folder that keeps the answers, see `search.find_products`.

    Raises:
        CatalogError: the catalog is no STAC source, or lacks the collection.
        CatalogUnavailableError: the catalog does not answer.
    """
    bounds = bounds_in_degrees(grids, MARGIN_DEGREES[layer])
    map_years = [None] * len(grids) if years is None else [map_year(year) for year in years]
    tiles, unusable = parse_tiles(search_all(catalog, tile_searches(layer, bounds, years), cache))
    touched: list[list[RasterTile]] = [[] for _ in grids]
    for tile in tiles:
        for index in np.flatnonzero(_do_touch(tile.bounds, bounds)):
            if map_years[index] in (None, tile.year):
                touched[index].append(tile)
    missed: list[list[UnusableItem]] = [[] for _ in grids]
    for item in unusable:
        extent = (-180.0, -90.0, 180.0, 90.0) if item.outline is None else item.outline.bounds
        for index in np.flatnonzero(_do_touch(extent, bounds)):
            same_year = map_years[index] is None or item.time is None or item.time.year == map_years[index]
            if same_year and not _covers(touched[index], bounds[index]):
                missed[index].append(item)
    return FoundTiles([tuple(tiles) for tiles in touched], [_gap(items) for items in missed], unusable)


def tile_searches(layer: str, bounds: Bounds, years: Sequence[int] | None = None) -> list[CellSearch]:
    """Return the searches for the tiles of windows, in a fixed order.

    Args:
        layer: `copdem` or `worldcover`.
        bounds: of the windows.
        years: as for `find_tiles`.
    """
    map_years = [None] * len(bounds) if years is None else [map_year(year) for year in years]
    degrees = [tuple(corners) for corners in np.floor(bounds).astype(np.int64).tolist()]
    searches = {
        _search(layer, cell, year)
        for corners, year in set(zip(degrees, map_years, strict=True))
        for cell in cells_of(*corners)
    }
    return sorted(searches, key=lambda search: (search.cell, search.period))


def tiles_at(items: Iterable[Mapping[str, Any]], bounds: Bounds) -> list[RasterTile]:
    """Return the tiles, of any year, that touch at least one window.

    Args:
        items: trimmed, as a search gave them.
        bounds: of the windows.
    """
    tiles, _ = parse_tiles(items)
    return [tile for tile in tiles if _do_touch(tile.bounds, bounds).any()]


def bounds_around(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], metres: float, margin: float
) -> Bounds:
    """Return squares around places, in degrees.

    Args:
        latitude: (places,) degrees.
        longitude: (places,) degrees.
        metres: from a place to the edge of its square.
        margin: degrees of latitude by which the square is wider, and as many metres of longitude.
    """
    half = metres / METRES_OF_DEGREE + margin
    wider = half / np.maximum(np.cos(np.radians(latitude)), _SMALLEST_COSINE)
    south, north = np.maximum(latitude - half, -90), np.minimum(latitude + half, 90)
    return np.stack([longitude - wider, south, longitude + wider, north], axis=1)


def _gap(missed: Sequence[UnusableItem]) -> str:
    if not missed:
        return ""
    reasons = ", ".join(f"{reason}: {count}" for reason, count in count_reasons(missed).items())
    return f"Of the items that the catalog has for the window {len(missed)} can't be used ({reasons})."


def _covers(tiles: Sequence[RasterTile], window: NDArray[np.float64]) -> bool:
    """Return whether tiles leave no part of a window out."""
    boxes = [
        shapely.box(west + turn, south, east + turn, north)
        for west, south, east, north in (tile.bounds for tile in tiles)
        for turn in (-360, 0, 360)
    ]
    covered = shapely.union_all(shapely.buffer(boxes, _ROUNDING, join_style="mitre"))
    return bool(shapely.covers(covered, shapely.box(*window)))


def _search(layer: str, cell: Cell, year: int | None) -> CellSearch:
    if year is None:
        return CellSearch(layer, cell, "all", ItemQuery(cell.bbox))
    start, end = parse_time(f"{year}-01-01T00:00:00Z"), parse_time(f"{year}-12-31T23:59:59Z")
    return CellSearch(layer, cell, str(year), ItemQuery(cell.bbox, start, end))


def cells_of(west: int, south: int, east: int, north: int) -> list[Cell]:
    """Return the cells from one to another; east may pass 180.

    Args:
        west: whole degrees.
        south: whole degrees.
        east: whole degrees.
        north: whole degrees.
    """
    return [
        Cell.containing(latitude, longitude)
        for latitude in range(south, north + 1)
        for longitude in range(west, east + 1)
    ]


def bounds_in_degrees(grids: Sequence[Grid], margin: float) -> Bounds:
    """The windows' extents, widened by `margin` degrees of latitude, and by as many metres of longitude.

    Args:
        grids: of the windows, in any CRS.
        margin: degrees of latitude.
    """
    bounds = np.empty((len(grids), 4))
    epsg = np.array([grid.epsg for grid in grids], dtype=np.int64)
    edges = np.array([grid.bounds for grid in grids], dtype=np.float64).reshape(-1, 4)
    for code in np.unique(epsg):
        same = epsg == code
        left, bottom, right, top = edges[same].T
        # Corners and the middles of the edges: over a few kilometres an edge is nearly straight.
        x = np.stack([left, (left + right) / 2, right] * 3)
        y = np.repeat(np.stack([bottom, (bottom + top) / 2, top]), 3, axis=0)
        longitude, latitude = to_degrees(int(code), x, y)
        # Counted from one corner, so that a window across the antimeridian stays in one piece.
        offset = (longitude - longitude[0] + 180) % 360 - 180
        wider = margin / np.cos(np.radians(np.abs(latitude).max(axis=0)))
        bounds[same] = np.stack(
            [
                longitude[0] + offset.min(axis=0) - wider,
                latitude.min(axis=0) - margin,
                longitude[0] + offset.max(axis=0) + wider,
                latitude.max(axis=0) + margin,
            ],
            axis=1,
        )
    return bounds


def _do_touch(box: Box, bounds: Bounds) -> NDArray[np.bool_]:
    west, south, east, north = box
    window_west, window_south, window_east, window_north = bounds.T
    in_latitude = (south < window_north) & (north > window_south)
    in_longitude = np.zeros(len(bounds), dtype=np.bool_)
    for turn in (-360, 0, 360):
        in_longitude |= (west + turn < window_east) & (east + turn > window_west)
    return in_latitude & in_longitude
