"""Pictures of footprints: where they are, when they were measured, and how much biomass they hold."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray
from PIL import Image

from factory_pipeline.builds.gedi.granules import calendar_day
from factory_pipeline.imagery.plot_style import plot_style
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.atomic import atomic_write

SINGLE_POINTS = 5_000
"""Up to so many footprints each is drawn; more are counted per cell of the map."""
MAP_CELLS = 140
"""Cells along the longer side of the map."""
SIZE = (12.6, 8.0)
"""Width and height of the picture in inches, at 100 pixels per inch."""
MAP_PLACE = (0.066, 0.432, 0.363, 0.44)
"""Left, bottom, width and height of the map as shares of the picture; so for the other places.

They are given, not measured: measuring all texts takes as long as drawing."""
SHADES_PLACE = (0.440, 0.432, 0.011, 0.44)
BIOMASS_PLACE = (0.578, 0.432, 0.408, 0.44)
TIME_PLACE = (0.066, 0.060, 0.920, 0.262)
MAP_SHAPE = MAP_PLACE[2] * SIZE[0] / (MAP_PLACE[3] * SIZE[1])
"""Width of the map's place by its height."""
SHORTEST_TIME_LINE = 10
"""Days that the time line shows at least."""
DAYS_ONE_BY_ONE = 750
"""Longest time that is shown by day; a longer one is shown by month."""

_INK, _FAINT, _PAPER, _GREEN, _AMBER = "#1f2a30", "#d9dedd", "#f5f7f6", "#2f7d5b", "#c8741a"
_SHADES = ListedColormap(mpl.colormaps["viridis_r"](np.linspace(0.06, 1, 200)))
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#9aa5a3",
    "axes.facecolor": _PAPER,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": "#5d6a69",
    "ytick.color": "#5d6a69",
}


def plot_distribution(footprints: pl.DataFrame, path: Path, title: str) -> None:
    """Draw a map, the time line and the biomass of footprints into one PNG, atomically.

    Works from no footprint to tens of millions; the same footprints give the same bytes.

    Args:
        footprints: needs lon_lowestmode, lat_lowestmode, delta_time and agbd; others are not looked at.
        path: where the PNG goes.
        title: heading of the picture.
    """
    with plot_style(_STYLE), atomic_write(path) as temporary:
        figure = Figure(figsize=SIZE, dpi=100, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        days = footprints.select(calendar_day(pl.col("delta_time"))).to_series().drop_nulls()
        _headline(figure, title, footprints.height, days)
        _draw_map(figure.add_axes(MAP_PLACE), footprints)
        _draw_biomass(figure.add_axes(BIOMASS_PLACE), footprints["agbd"].to_numpy())
        _draw_time(figure.add_axes(TIME_PLACE), days)
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
        picture.quantize(256, dither=Image.Dither.NONE).save(temporary, format="PNG")


def _headline(figure: Figure, title: str, count: int, days: pl.Series) -> None:
    facts = count_noun(count, "footprint")
    if days.len():
        first, last = _first_and_last(days)
        spell = f"{first} to {last}" if first < last else f"{first}"
        facts += f"  ·  {spell}  ·  {count_noun(days.n_unique(), 'day')} with footprints"
    figure.text(0.016, 0.962, title, fontsize=16, fontweight="bold", va="center")
    figure.text(0.016, 0.925, facts, fontsize=10.5, color="#5d6a69", va="center")


def _draw_map(axes: Axes, footprints: pl.DataFrame) -> None:
    longitude = footprints["lon_lowestmode"].to_numpy()
    latitude = footprints["lat_lowestmode"].to_numpy()
    finite = np.isfinite(longitude) & np.isfinite(latitude)
    longitude, latitude = longitude[finite], latitude[finite]
    axes.set_title("Where")
    if not longitude.size:
        _say_nothing(axes)
        return
    squeeze = 1 / max(0.15, float(np.cos(np.radians((latitude.min() + latitude.max()) / 2))))
    west, east, south, north = _extent(longitude, latitude, squeeze)
    axes.set(xlim=(west, east), ylim=(south, north))
    axes.set_aspect(squeeze)
    if longitude.size <= SINGLE_POINTS:
        drawn: Any = _draw_points(axes, longitude, latitude, footprints["agbd"].to_numpy()[finite])
        label = "AGBD [Mg/ha]"
    else:
        drawn = _draw_density(axes, longitude, latitude, (west, east, south, north), squeeze)
        label = "footprints per cell"
    bar = axes.figure.colorbar(drawn, cax=axes.figure.add_axes(SHADES_PLACE))
    bar.set_label(label)
    if isinstance(drawn.norm, LogNorm):
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter("{x:,.0f}")
    bar.outline.set_visible(False)
    for axis, letters in ((axes.xaxis, "WE"), (axes.yaxis, "SN")):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(_degrees(letters)))


def _extent(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64], squeeze: float
) -> tuple[float, float, float, float]:
    """Return west, east, south, north of a map with all points and a margin, in the shape of its place.

    `squeeze` is how many degrees of longitude are as long as one of latitude.
    """
    width = 1.1 * max(float(np.ptp(longitude)), 0.02 * squeeze)
    height = 1.1 * max(float(np.ptp(latitude)), 0.02)
    width, height = max(width, height * squeeze * MAP_SHAPE), max(height, width / squeeze / MAP_SHAPE)
    x, y = (longitude.min() + longitude.max()) / 2, (latitude.min() + latitude.max()) / 2
    return (
        max(-180.0, float(x) - width / 2),
        min(180.0, float(x) + width / 2),
        max(-90.0, float(y) - height / 2),
        min(90.0, float(y) + height / 2),
    )


def _draw_points(
    axes: Axes, longitude: NDArray[np.float64], latitude: NDArray[np.float64], agbd: NDArray[np.float32]
) -> Any:
    finite = agbd[np.isfinite(agbd)]
    top = float(np.percentile(finite, 98)) if finite.size else 1.0
    size = float(np.clip(6_000 / longitude.size, 5, 36))
    return axes.scatter(
        longitude,
        latitude,
        c=agbd,
        s=size,
        cmap=_SHADES,
        vmin=0,
        vmax=max(top, 1.0),
        linewidths=0,
        alpha=0.85,
    )


def _draw_density(
    axes: Axes,
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    extent: tuple[float, float, float, float],
    squeeze: float,
) -> Any:
    """Counts per cell; cells are square on the ground at the map's middle latitude."""
    west, east, south, north = extent
    cell = max((east - west) / squeeze, north - south) / MAP_CELLS
    columns = max(1, round((east - west) / squeeze / cell))
    rows = max(1, round((north - south) / cell))
    counts, x_edges, y_edges = np.histogram2d(
        longitude, latitude, bins=(columns, rows), range=((west, east), (south, north))
    )
    shown = np.ma.masked_equal(counts.T, 0)
    low = max(1.0, float(np.percentile(counts[counts > 0], 2)))
    return axes.pcolormesh(
        x_edges, y_edges, shown, cmap=_SHADES, norm=LogNorm(low, max(2 * low, counts.max()))
    )


def _draw_time(axes: Axes, days: pl.Series) -> None:
    if not days.len():
        axes.set_title("When")
        _say_nothing(axes)
        return
    first, last = _first_and_last(days)
    by_month = (last - first).days > DAYS_ONE_BY_ONE
    axes.set_title(f"When: footprints per {'month' if by_month else 'day'} (UTC)")
    margin = timedelta(days=max(0, SHORTEST_TIME_LINE - (last - first).days) // 2)
    edges = _edges(first - margin, last + margin, by_month)
    counts = np.histogram(date2num(days.to_numpy()), bins=date2num(edges))[0]
    axes.stairs(counts, date2num(edges), fill=True, color=_GREEN)
    axes.xaxis_date()
    locator = AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(0, counts.max() * 1.12)
    axes.set_ylabel("footprints")
    axes.grid(axis="x", visible=False)


def _first_and_last(days: pl.Series) -> tuple[date, date]:
    ordered = days.sort()
    return ordered[0], ordered[-1]


def _edges(first: date, last: date, by_month: bool) -> list[date]:
    """Return the first day of every bin, and the day after the last bin."""
    if by_month:
        months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month + 1)
        return [date(month // 12, month % 12 + 1, 1) for month in months]
    return [first + timedelta(days=day) for day in range((last - first).days + 2)]


def _draw_biomass(axes: Axes, agbd: NDArray[np.float32]) -> None:
    axes.set_title("How much: aboveground biomass density")
    finite = agbd[np.isfinite(agbd)]
    if not finite.size:
        _say_nothing(axes)
        return
    top = max(1.0, float(np.percentile(finite, 99.5)))
    low = min(0.0, float(finite.min()))
    counts, edges = np.histogram(np.minimum(finite, top), bins=48, range=(low, top))
    axes.stairs(counts, edges, fill=True, color=_GREEN)
    median = float(np.median(finite))
    axes.axvline(median, color=_AMBER, linewidth=1.6)
    axes.set_ylim(0, counts.max() * 1.12)
    axes.text(
        0.985, 0.95, f"median {median:,.0f} Mg/ha", color=_AMBER, fontweight="bold",
        ha="right", va="top", transform=axes.transAxes,
    )  # fmt: skip
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set(
        xlabel="AGBD [Mg/ha]; the last bar holds the highest 0.5 % too", ylabel="footprints", xlim=(low, top)
    )
    axes.grid(axis="x", visible=False)


def _degrees(letters: str) -> Any:
    """Return a tick label such as `57.5° W`; `letters` are those for negative and positive degrees."""

    def label(value: float, _position: int) -> str:
        letter = "" if round(value, 6) == 0 else f" {letters[int(value > 0)]}"
        return f"{abs(value):.4f}".rstrip("0").rstrip(".") + "°" + letter

    return label


def _say_nothing(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, "no footprints", ha="center", va="center", color="#5d6a69", transform=axes.transAxes)
