"""Where the samples are: around the edge of two UTM zones, so that tiles of both show the same ground."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from factory_pipeline.cog.grid import Grid
from factory_pipeline.stac.projection import from_degrees, to_degrees


@dataclass(frozen=True)
class Place:
    """A place on the edge of two UTM zones."""

    longitude: float
    latitude: float
    zones: tuple[int, int]
    """EPSG codes of the western and the eastern zone."""

    def grid(
        self, epsg: int, west: float, north: float, width: float, height: float, pixel_size: float
    ) -> Grid:
        """Return the grid of a tile, whose corner is on a whole multiple of its pixels.

        Args:
            epsg: of its zone.
            west: metres from the place to its left edge, negative to the west.
            north: metres from the place to its upper edge, negative to the south.
            width: in metres.
            height: in metres.
            pixel_size: in metres.
        """
        x, y = self._metres(epsg)
        left = math.floor((x + west) / pixel_size) * pixel_size
        top = math.ceil((y + north) / pixel_size) * pixel_size
        columns, rows = round(width / pixel_size), round(height / pixel_size)
        return Grid(epsg, left, top, pixel_size, pixel_size, columns, rows)

    def degrees(self, offsets: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """Return longitude and latitude of places so many metres east and north of this one."""
        x, y = self._metres(self.zones[0])
        east, north = np.array(offsets, dtype=np.float64).reshape(-1, 2).T
        longitude, latitude = to_degrees(self.zones[0], x + east, y + north)
        return list(zip(longitude.tolist(), latitude.tolist(), strict=True))

    def _metres(self, epsg: int) -> tuple[float, float]:
        x, y = from_degrees(epsg, np.array([self.longitude]), np.array([self.latitude]))
        return float(x[0]), float(y[0])


VENETO = Place(12.0, 45.5, (32632, 32633))
"""Fields in the north of Italy."""
SIERRA = Place(-120.0, 38.5, (32610, 32611))
"""Forest in the west of the United States, of which there is NAIP."""


def day(text: str, hour: int = 10) -> datetime:
    """Return a time of a day in UTC.

    Args:
        text: the day, such as `2021-06-30`.
        hour: 0 to 23.
    """
    return datetime.fromisoformat(text).replace(hour=hour, tzinfo=UTC)
