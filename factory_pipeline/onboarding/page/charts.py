"""Drawings of the page as numbers and SVG paths: histograms and the map of the footprints."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

from factory_pipeline.imagery.band_statistics import BandStatistics
from factory_pipeline.imagery.geometries import geometries
from factory_pipeline.imagery.overlap import FOOTPRINT_COLUMNS, at_pole, footprints
from factory_pipeline.imagery.parallel_map import slices

MAP_WIDTH = 760.0
MAP_HEIGHTS = (240.0, 420.0)
MOST_FOOTPRINTS = 1500
"""Beyond this many, footprints are drawn as one dot per cell of a raster."""
_SMALLEST = 5.0
"""Footprints smaller than this many units are drawn as dots."""
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45, 60)
_HISTOGRAM_HEIGHT = 30


@dataclass(frozen=True)
class BandChart:
    """One histogram, in units of a view box of its bins by 30."""

    band: BandStatistics
    bins: int
    bars: str
    """SVG path."""
    mean: float | None
    """Where the mean lies; None outside of the histogram."""
    spread: tuple[float, float]
    """Where one deviation below and above the mean lie, cut to the histogram."""


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
class FootprintMap:
    """Footprints in units of a view box of `width` by `height`."""

    width: float
    height: float
    meridians: tuple[Line, ...]
    parallels: tuple[Line, ...]
    footprints: tuple[Footprint, ...]
    left_out: int
    """Images that are not georeferenced."""


def band_chart(band: BandStatistics) -> BandChart | None:
    """The histogram of a band; None where it has no pixel."""
    histogram = band.histogram
    if histogram is None or band.mean is None or band.std is None:
        return None
    bins = len(histogram.counts)
    tallest = max(max(histogram.counts), 1)
    bars = "".join(
        f"M{place} {_HISTOGRAM_HEIGHT}v-{round(_HISTOGRAM_HEIGHT * count / tallest, 2):g}h1"
        f"v{round(_HISTOGRAM_HEIGHT * count / tallest, 2):g}z"
        for place, count in enumerate(histogram.counts)
        if count
    )

    def at(value: float) -> float:
        return (value - histogram.low) / (histogram.high - histogram.low) * bins

    mean = at(band.mean)
    low, high = (min(max(at(band.mean + side * band.std), 0.0), float(bins)) for side in (-1, 1))
    return BandChart(
        band, bins, bars, round(mean, 2) if 0 <= mean <= bins else None, (round(low, 2), round(high, 2))
    )


def footprint_map(items: pl.LazyFrame, split: pl.DataFrame) -> FootprintMap | None:
    """The footprints on a graticule, true to shape at the middle latitude; None without any georeference."""
    parts = slices(items.select("stem", "original_name", *FOOTPRINT_COLUMNS), "stem")
    found = [(rows.select("stem", "original_name"), footprints(rows)) for rows in parts]
    frame = pl.concat([rows for rows, _ in found]).join(split, on="stem", how="left", maintain_order="left")
    corners = np.concatenate([part for _, part in found])
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

    def x(lon: float) -> float:
        return round(MAP_WIDTH / 2 + (lon - lon0) * shrink * scale, 1)

    def y(lat: float) -> float:
        return round(height / 2 - (lat - lat0) * scale, 1)

    half_lon, half_lat = MAP_WIDTH / 2 / scale / shrink, height / 2 / scale
    return FootprintMap(
        MAP_WIDTH,
        height,
        tuple(Line(x(lon), _degrees(lon, "EW")) for lon in _graticule(lon0 - half_lon, lon0 + half_lon, 6)),
        tuple(
            Line(y(lat), _degrees(lat, "NS"))
            for lat in _graticule(lat0 - half_lat, lat0 + half_lat, 4)
            if abs(lat) <= 90
        ),
        _marks(
            frame[placed.tolist()], ([(x(lon), y(lat)) for lon, lat in ring.tolist()] for ring in outlines)
        ),
        frame.height - placed.size,
    )


def _outlines(corners: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """A ring of longitudes and latitudes per footprint, all within 360 degrees without a gap in the middle.

    At a pole it is the larger part of the footprint's geometry.
    """
    centres = np.sort(corners[:, :, 0].mean(axis=1) % 360)
    gaps = np.diff(np.append(centres, centres[0] + 360))
    # The map begins behind the widest gap, where that does not lie at 180 degrees anyway.
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
            cell = (split, int(centre_x // _SMALLEST), int(centre_y // _SMALLEST))
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
    """Round degrees between two, at most about `most` of them."""
    step = next((step for step in _STEPS if (high - low) / step <= most), _STEPS[-1])
    first = math.ceil(low / step)
    return [round(number * step, 6) for number in range(first, math.floor(high / step) + 1)]


def _degrees(value: float, sides: str) -> str:
    turned = (value + 180) % 360 - 180 if sides == "EW" and abs(value) > 180 else value
    side = "" if not turned else sides[0] if turned > 0 else sides[1]
    return f"{round(abs(turned), 6):g}°{side}"
