"""Sentinel-2 tiles: squares of 109.8 km on the 100 km raster of the Military Grid Reference System."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid
from factory_pipeline.crs_transformer import crs_transformer

SQUARE = 100_000
"""Metres between the tiles' origins."""
TILE_SIZE = 109_800
"""Metres per side of a tile: neighbours overlap by 9.8 km."""

_BANDS = "CDEFGHJKLMNPQRSTUVWX"
_COLUMN_SETS = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")
_ROWS = "ABCDEFGHJKLMNPQRSTUV"


@dataclass(frozen=True, order=True)
class MgrsTile:
    """One tile: the 100 km square names it, the tile reaches 9.8 km further east and south."""

    epsg: int
    """UTM zone, WGS 84."""
    column: int
    """Easting of the square's western edge, in squares."""
    row: int
    """Northing of the square's southern edge, in squares."""

    @property
    def zone(self) -> int:
        """UTM zone, 1 to 60."""
        return self.epsg % 100

    @property
    def name(self) -> str:
        """Zone, latitude band and the two letters of the square, such as 33UVP."""
        _, lat = to_lonlat(
            self.epsg, np.array((self.column + 0.5) * SQUARE), np.array((self.row + 0.5) * SQUARE)
        )
        band = _BANDS[min(int((float(lat) + 80) // 8), len(_BANDS) - 1)]
        letter = _COLUMN_SETS[(self.zone - 1) % 3][self.column - 1]
        first_row = 0 if self.zone % 2 else 5
        return f"{self.zone:02d}{band}{letter}{_ROWS[(self.row + first_row) % 20]}"

    def grid(self, resolution: int) -> Grid:
        """Return the tile's pixels of 10, 20 or 60 m; its corner is snapped outwards to multiples of 60 m."""
        left = math.floor(self.column * SQUARE / 60) * 60
        top = math.ceil((self.row + 1) * SQUARE / 60) * 60
        pixels = TILE_SIZE // resolution
        return Grid(self.epsg, left, top, resolution, resolution, pixels, pixels)


def utm_epsg(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.int64]:
    """EPSG code of the UTM zone of each place, between 80 S and 84 N.

    The exceptions around Norway and Svalbard are left out: no GEDI footprint is so far north.

    Args:
        lon: degrees.
        lat: degrees.
    """
    zone = np.clip(np.floor((lon + 180) / 6).astype(np.int64) + 1, 1, 60)
    return np.where(lat < 0, 32700, 32600) + zone


def tiles_holding(epsg: int, x: NDArray[np.float64], y: NDArray[np.float64], margin: float) -> list[MgrsTile]:
    """The tiles that hold at least one of the places (metres in the zone) with `margin` metres around it.

    Args:
        epsg: of the zone.
        x: (n,) metres.
        y: (n,) metres.
        margin: metres.
    """
    tiles: set[MgrsTile] = set()
    for east, north in np.unique(np.stack([x // SQUARE, y // SQUARE], axis=1), axis=0).astype(int):
        for column in (east - 1, east):
            tiles.update(MgrsTile(epsg, int(column), int(row)) for row in (north, north + 1))
    return sorted(tile for tile in tiles if is_held(tile, x, y, margin).any())


def is_held(
    tile: MgrsTile, x: NDArray[np.float64], y: NDArray[np.float64], margin: float
) -> NDArray[np.bool_]:
    """Return True for each place that is in the tile with `margin` metres around it.

    Args:
        tile: of a zone.
        x: (n,) metres in the zone.
        y: (n,) metres in the zone.
        margin: metres.
    """
    left, bottom, right, top = tile.grid(10).bounds
    return (x - margin >= left) & (x + margin <= right) & (y - margin >= bottom) & (y + margin <= top)


def to_utm(
    epsg: int, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Easting and northing in metres.

    Args:
        epsg: of the zone.
        lon: degrees.
        lat: degrees.
    """
    x, y = crs_transformer(4326, epsg).transform(lon, lat)
    return x, y


def to_lonlat(
    epsg: int, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude in degrees.

    Args:
        epsg: of the zone.
        x: metres.
        y: metres.
    """
    lon, lat = crs_transformer(epsg, 4326).transform(x, y)
    return lon, lat
