"""Plots of the pages as SVG paths: lines over steps, bars over days."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WIDTH, HEIGHT = 760.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 12.0, 12.0, 26.0
MOST_POINTS = 800
"""Points of a line that are drawn; of more, evenly spread ones and the last."""
WIDEST_BAR, THINNEST_BAR = 24.0, 2.5

Points = Sequence[tuple[float, float]]
"""x and y, in the order of x."""


@dataclass(frozen=True)
class Tick:
    """A line of the axes and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Series:
    """What is drawn in one colour."""

    name: str
    path: str
    """SVG path."""
    last: str
    """The last value, as text."""


@dataclass(frozen=True)
class Plot:
    """A plot in units of a view box of `width` by `height`."""

    title: str
    kind: str
    """`lines` or `bars`."""
    series: tuple[Series, ...]
    across: tuple[Tick, ...]
    """Below the plot."""
    up: tuple[Tick, ...]
    """At its left."""
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class _Axis:
    """From values to units of the view box."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        return round(self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin), 1)


def line_plot(title: str, lines: Mapping[str, Points]) -> Plot | None:
    """Return lines over a common x, such as the steps of a training; None without a point.

    Args:
        title: of the plot.
        lines: points by the name of a line; values that are not finite are left out.
    """
    finite = {
        name: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        for name, points in lines.items()
    }
    known = {name: points for name, points in finite.items() if points}
    if not known:
        return None
    xs, ys = zip(*(point for points in known.values() for point in points), strict=True)
    x = _Axis(min(xs), max(max(xs), min(xs) + 1), LEFT, WIDTH - RIGHT)
    y = _vertical(min(0.0, *ys), max(ys))
    series = tuple(
        Series(name, _line([(x(at), y(value)) for at, value in _thinned(points)]), f"{points[-1][1]:.4g}")
        for name, points in known.items()
    )
    across = tuple(Tick(x(value), f"{value:,.0f}") for value in _ticks(x.low, x.high, 8) if value % 1 == 0)
    return Plot(title, "lines", series, across, _vertical_ticks(y))


def day_plot(title: str, days: Sequence[date], bars: Mapping[str, Sequence[int]]) -> Plot | None:
    """Return bars by day, those of later series before those of earlier ones; None without a day.

    Args:
        title: of the plot.
        days: in ascending order.
        bars: a number per day, by the name of the series.
    """
    if not days:
        return None
    span = (days[-1] - days[0]).days + 1
    width = min((WIDTH - LEFT - RIGHT) / span, WIDEST_BAR)
    y = _vertical(0.0, float(max(1, *(value for values in bars.values() for value in values))))

    def x(day: date) -> float:
        return LEFT + (day - days[0]).days * width

    series = tuple(
        Series(
            name,
            "".join(
                f"M{x(day):.1f} {y(0)}V{y(value)}h{max(0.85 * width, THINNEST_BAR):.1f}V{y(0)}z"
                for day, value in zip(days, values, strict=True)
                if value
            ),
            f"{sum(values):,}",
        )
        for name, values in bars.items()
    )
    step = max(math.ceil(span / 6), 1)
    named = [days[0] + timedelta(days=number) for number in range(0, span, step)]
    across = tuple(Tick(round(x(day), 1), day.isoformat()) for day in named if x(day) < WIDTH - 80)
    return Plot(title, "bars", series, across, _vertical_ticks(y))


def _vertical(low: float, high: float) -> _Axis:
    return _Axis(low, high if high > low else low + 1, HEIGHT - BOTTOM, TOP)


def _vertical_ticks(axis: _Axis) -> tuple[Tick, ...]:
    return tuple(Tick(axis(value), f"{value:,.6g}") for value in _ticks(axis.low, axis.high, 5))


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers between two others, `most` at most."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * part for part in (1, 2, 5, 10, 20) if (high - low) / (power * part) <= most - 1)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _thinned(points: Points) -> Points:
    step = max(math.ceil(len(points) / MOST_POINTS), 1)
    return [*points[:-1:step], points[-1]]


def _line(points: Points) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
