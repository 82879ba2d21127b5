"""Drawings of the page as numbers and SVG paths: histograms and the map of the footprints."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

from factory_pipeline.imagery.band_statistics import BandStatistics
from factory_pipeline.imagery.footprints import FOOTPRINT_COLUMNS, at_pole, footprints
from factory_pipeline.imagery.geometries import geometries
from factory_pipeline.imagery.row_frames import slices
from factory_pipeline.onboarding.page.coastline import land_within
from factory_pipeline.splits.groups import block_bounds

MAP_WIDTH = 760.0
MAP_HEIGHTS = (240.0, 420.0)
MOST_FOOTPRINTS = 400
"""Above this number, footprints are drawn as one dot per cell of a raster."""
_CELL = 10.0
"""Side of a cell in units: a map has some 3,000 of them at most."""
_SMALLEST = 5.0
"""Footprints smaller than this many units are drawn as dots."""
MOST_BLOCKS = 3000
"""Above this number, no outline of a block is drawn."""
_SURROUNDINGS = 20.0
"""Degrees of latitude around a map's middle whose land is drawn, so that a viewer can see where it is."""
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45, 60)
_HISTOGRAM_HEIGHT = 30


@dataclass(frozen=True)
class BandChart:
    """One histogram, in units of a view box of (number of bins) by 30."""

    band: BandStatistics
    bins: int
    bars: str
    """SVG path."""
    mean: float | None
    """Position of the mean; None outside of the histogram."""
    spread: tuple[float, float]
    """Positions of one deviation below and above the mean, limited to the histogram."""


@dataclass(frozen=True)
class Footprint:
    """One image on the map."""

    split: str
    name: str
    path: str | None
    """SVG path; None for a dot."""
    x: float
    y: float


@dataclass(frozen=True)
class Line:
    """One line of the graticule."""

    at: float
    text: str


@dataclass(frozen=True)
class Block:
    """A block of the ground whose images are all in one split."""

    split: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class FootprintMap:
    """Footprints in units of a view box of `width` by `height`, whose middle is at `lon` and `lat`."""

    width: float
    height: float
    lon: float
    lat: float
    per_lon: float
    """Units per degree of longitude."""
    per_lat: float
    reach: float
    """How many times as large as the view box the area is whose land is drawn."""
    land: str
    """SVG path; empty where all of it is sea."""
    meridians: tuple[Line, ...]
    parallels: tuple[Line, ...]
    footprints: tuple[Footprint, ...]
    left_out: int
    """Images that are not georeferenced."""
    blocks: tuple[Block, ...] = ()
    """Of a split by blocks."""

    @property
    def dots(self) -> dict[str, str]:
        """The dots without a name as one SVG path per split, which a page holds by thousands."""
        places: dict[str, list[tuple[int, int, int]]] = {}
        for mark in self.footprints:
            if not mark.name:
                places.setdefault(mark.split, []).append(
                    (round(mark.y / _CELL), round(mark.x), round(mark.y))
                )
        return {split: _dots([(x, y) for _, x, y in sorted(found)]) for split, found in places.items()}


def _dots(places: list[tuple[int, int]]) -> str:
    """Return dots at places as one path: each is a step from the one before and a line of no length."""
    steps, x, y = [], 0, 0
    for right, down in places:
        steps.append(f"m{right - x}{down - y:+}h0" if down < y else f"m{right - x} {down - y}h0")
        x, y = right, down
    return "".join(steps)


def band_chart(band: BandStatistics) -> BandChart | None:
    """Return the histogram of a band; None if it has no pixel."""
    histogram = band.histogram
    if histogram is None or band.mean is None or band.std is None:
        return None
    bins = len(histogram.counts)
    tallest = max(max(histogram.counts), 1)
    bars = "".join(
        f"M{position} {_HISTOGRAM_HEIGHT}v-{round(_HISTOGRAM_HEIGHT * count / tallest, 2):g}h1"
        f"v{round(_HISTOGRAM_HEIGHT * count / tallest, 2):g}z"
        for position, count in enumerate(histogram.counts)
        if count
    )

    def at(value: float) -> float:
        return (value - histogram.low) / (histogram.high - histogram.low) * bins

    mean = at(band.mean)
    low, high = (min(max(at(band.mean + side * band.std), 0.0), float(bins)) for side in (-1, 1))
    return BandChart(
        band, bins, bars, round(mean, 2) if 0 <= mean <= bins else None, (round(low, 2), round(high, 2))
    )


def footprint_map(
    items: pl.LazyFrame, split: pl.DataFrame, block_m: float | None = None
) -> FootprintMap | None:
    """Return the footprints on a graticule, true to shape at the middle latitude.

    None without georeference.

    Args:
        items: `stem`, `original_name` and the columns of `overlap.footprints`.
        split: `stem`, `split`.
        block_m: side in metres of the blocks that the split is made of; None where it is not.
    """
    parts = slices(items.select("stem", "original_name", *FOOTPRINT_COLUMNS), "stem")
    found = [(rows.select("stem", "original_name"), footprints(rows)) for rows in parts]
    frame = pl.concat([rows for rows, _ in found]).join(split, on="stem", how="left", maintain_order="left")
    return corner_map(np.concatenate([part for _, part in found]), frame, block_m)


def corner_map(
    corners: NDArray[np.float64], named: pl.DataFrame, block_m: float | None = None
) -> FootprintMap | None:
    """Return footprints on a graticule, true to shape at the middle latitude; None without any georeference.

    Args:
        corners: (images, 4, 2) longitudes and latitudes in degrees; NaN where an image is not georeferenced.
        named: `original_name` and `split` of each image, in the same order.
        block_m: side in metres of the blocks that the split is made of; None where it is not.
    """
    placed = np.flatnonzero(np.isfinite(corners[:, 0, 0]))
    if not placed.size:
        return None
    outlines = _outlines(corners[placed])
    every = np.concatenate(outlines)
    west, south = every.min(axis=0)
    east, north = every.max(axis=0)
    shrink = max(math.cos(math.radians((south + north) / 2)), 0.05)
    span = max(float(east - west) * shrink, float(north - south), 1e-4)
    pad = 0.08 * span
    wide, high = float(east - west) * shrink + 2 * pad, float(north - south) + 2 * pad
    scale = min(MAP_WIDTH / wide, MAP_HEIGHTS[1] / high)
    height = min(max(high * scale, MAP_HEIGHTS[0]), MAP_HEIGHTS[1])
    lon0, lat0 = float(west + east) / 2, float(south + north) / 2

    across = shrink * scale

    def x(lon: float) -> float:
        return round(MAP_WIDTH / 2 + (lon - lon0) * across, 1)

    def y(lat: float) -> float:
        return round(height / 2 - (lat - lat0) * scale, 1)

    half_lon, half_lat = MAP_WIDTH / 2 / across, height / 2 / scale
    reach = max(min(_SURROUNDINGS / half_lat, 180 / half_lon), 1.0)
    return FootprintMap(
        MAP_WIDTH,
        height,
        lon0,
        lat0,
        across,
        scale,
        round(reach, 2),
        _land(lon0, lat0, half_lon * reach, half_lat * reach, x, y, reach / scale),
        tuple(Line(x(lon), _degrees(lon, "EW")) for lon in _graticule(lon0 - half_lon, lon0 + half_lon, 6)),
        tuple(
            Line(y(lat), _degrees(lat, "NS"))
            for lat in _graticule(lat0 - half_lat, lat0 + half_lat, 4)
            if abs(lat) <= 90
        ),
        _marks(
            named[placed.tolist()], ([(x(lon), y(lat)) for lon, lat in ring.tolist()] for ring in outlines)
        ),
        named.height - placed.size,
        _blocks(outlines, named[placed.tolist()]["split"], block_m, x, y) if block_m is not None else (),
    )


Project = Callable[[float], float]
"""Degrees to units of the view box."""


def _land(
    lon: float, lat: float, half_lon: float, half_lat: float, x: Project, y: Project, tolerance: float
) -> str:
    """Return the land around a place as an SVG path."""
    south, north = max(lat - half_lat, -90.0), min(lat + half_lat, 90.0)
    rings = land_within(lon - half_lon, south, lon + half_lon, north, tolerance)
    return "".join("M" + "L".join(f"{x(east):g} {y(up):g}" for east, up in ring[:-1]) + "z" for ring in rings)


def _blocks(
    outlines: list[NDArray[np.float64]], split: pl.Series, block_m: float, x: Project, y: Project
) -> tuple[Block, ...]:
    """Return the blocks that have an image's centre, once each."""
    centres = np.array([ring.mean(axis=0) for ring in outlines])
    bounds = dict(zip(map(tuple, block_bounds(centres, block_m).round(9).tolist()), split, strict=True))
    if len(bounds) > MOST_BLOCKS:
        return ()
    return tuple(
        Block(name, x(west), y(north), round(x(east) - x(west), 1), round(y(south) - y(north), 1))
        for (west, south, east, north), name in sorted(bounds.items())
    )


def _outlines(corners: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return a ring of longitudes and latitudes per footprint, all within 360 degrees and without a gap.

    At a pole it is the larger part of the footprint's geometry.
    """
    centres = np.sort(corners[:, :, 0].mean(axis=1) % 360)
    gaps = np.diff(np.append(centres, centres[0] + 360))
    # The map begins after the widest gap, if that is not at 180 degrees anyway.
    start = centres[(int(np.argmax(gaps)) + 1) % len(centres)] - 180
    middle = corners[:, :, 0].mean(axis=1)
    turns = (
        np.floor((middle - start - 180) / 360 + 1e-9) * 360 if gaps.max() > 180 else np.zeros(len(corners))
    )
    outlines = list(corners - np.stack([turns, np.zeros_like(turns)], axis=-1)[:, None, :])
    for row in np.flatnonzero(at_pole(corners)):
        parts = shapely.get_parts(geometries(corners[row : row + 1]))
        outlines[row] = shapely.get_coordinates(max(parts, key=shapely.area))
    return outlines


def _marks(frame: pl.DataFrame, quads: Iterable[list[tuple[float, float]]]) -> tuple[Footprint, ...]:
    marks: list[Footprint] = []
    cells: set[tuple[str, int, int]] = set()
    for (name, split), quad in zip(frame.select("original_name", "split").iter_rows(), quads, strict=True):
        xs, ys = zip(*quad, strict=True)
        centre_x, centre_y = round(sum(xs) / len(xs), 1), round(sum(ys) / len(ys), 1)
        if frame.height > MOST_FOOTPRINTS:
            cell = (split, int(centre_x // _CELL), int(centre_y // _CELL))
            if cell not in cells:
                cells.add(cell)
                marks.append(Footprint(split, "", None, centre_x, centre_y))
        elif max(max(xs) - min(xs), max(ys) - min(ys)) < _SMALLEST:
            marks.append(Footprint(split, name, None, centre_x, centre_y))
        else:
            path = "M" + "L".join(f"{px:g} {py:g}" for px, py in quad) + "z"
            marks.append(Footprint(split, name, path, centre_x, centre_y))
    return tuple(marks)


def _graticule(low: float, high: float, most: int) -> list[float]:
    """Return round degrees between two limits, about `most` of them at most."""
    step = next((step for step in _STEPS if (high - low) / step <= most), _STEPS[-1])
    first = math.ceil(low / step)
    return [round(number * step, 6) for number in range(first, math.floor(high / step) + 1)]


def _degrees(value: float, sides: str) -> str:
    turned = (value + 180) % 360 - 180 if sides == "EW" and abs(value) > 180 else value
    side = "" if not turned else sides[0] if turned > 0 else sides[1]
    return f"{round(abs(turned), 6):g}°{side}"
