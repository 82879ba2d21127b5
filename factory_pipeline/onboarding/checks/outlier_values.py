"""Outlying values that may be undeclared no data: often it is a number that no file declares."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.imagery.streaming_quantiles import Counts
from factory_pipeline.onboarding.checks.check import Check
from factory_pipeline.onboarding.checks.file_roles import LABEL

FEWEST_PIXELS = 2
"""A single pixel may be a wrong measurement."""
MARKS = (9999.0, 32767.0, 65535.0, 99999.0, 999999.0, 2147483647.0, 4294967295.0)
"""High values that are used for no data; so is everything from HUGE on."""
HUGE = 1e19
NAME = "no_value_stands_out"
EXTREMES = pl.Struct(
    {
        "lowest": pl.Float64,
        "lowest_pixels": pl.Int64,
        "next_lowest": pl.Float64,
        "highest": pl.Float64,
        "highest_pixels": pl.Int64,
        "next_highest": pl.Float64,
    }
)


@dataclass(frozen=True)
class Extremes:
    """The extreme values of a band; their neighbours and pixel counts are needed if one may be no data."""

    lowest: float
    lowest_pixels: int
    """Pixels of the lowest value if it is negative, else 0."""
    next_lowest: float | None
    """The second lowest value if the lowest is negative; None if there is none."""
    highest: float
    highest_pixels: int
    """Pixels of the highest value if it is one of MARKS or HUGE, else 0."""
    next_highest: float | None


def extremes_of(values: NDArray[np.generic]) -> Extremes | None:
    """Return the extremes of valid values; None if there are none, or they are not real numbers."""
    if not values.size or values.dtype.kind not in "iuf":
        return None
    lowest, highest = values.min(), values.max()
    low, low_pixels, after = float(lowest), 0, None
    if low < 0:
        others = values[values != lowest]
        low_pixels = values.size - others.size
        after = float(others.min()) if others.size else None
    high, high_pixels, before = float(highest), 0, None
    if high in MARKS or high >= HUGE:
        others = values[values != highest]
        high_pixels = values.size - others.size
        before = float(others.max()) if others.size else None
    return Extremes(low, low_pixels, after, high, high_pixels, before)


def extremes_in(counts: Counts) -> Extremes | None:
    """As `extremes_of`, of values that are counted."""
    found = counts.counts
    if not found.any():
        return None
    first, last = int((found != 0).argmax()), found.size - 1 - int((found[::-1] != 0).argmax())
    lowest, highest = float(first + counts.lowest), float(last + counts.lowest)
    is_low, is_high = lowest < 0, highest in MARKS
    # Few bands have extremes whose neighbours matter, and it takes longer to find all values.
    values = counts.values if (is_low or is_high) and first < last else None
    return Extremes(
        lowest,
        int(found[first]) if is_low else 0,
        float(values[1]) if is_low and values is not None else None,
        highest,
        int(found[last]) if is_high else 0,
        float(values[-2]) if is_high and values is not None else None,
    )


def merge_extremes(one: Extremes | None, other: Extremes | None) -> Extremes | None:
    """Return the extremes of the values of two parts.

    Args:
        one: of one part; None if it has no valid pixel.
        other: of the other part.
    """
    if one is None or other is None:
        return one or other
    low, high = min(one.lowest, other.lowest), max(one.highest, other.highest)
    pair = (one, other)
    above = [each.next_lowest if each.lowest == low else each.lowest for each in pair]
    below = [each.next_highest if each.highest == high else each.highest for each in pair]
    return Extremes(
        low,
        sum(each.lowest_pixels for each in pair if each.lowest == low),
        min((value for value in above if value is not None), default=None),
        high,
        sum(each.highest_pixels for each in pair if each.highest == high),
        max((value for value in below if value is not None), default=None),
    )


def no_value_stands_out(contents: pl.LazyFrame, *, labels_are_classes: bool) -> Check:
    """Check that no value is far from all others of its band, as undeclared no data is.

    Args:
        contents: in file_contents.CONTENT_SCHEMA.
        labels_are_classes: the labels are skipped, as each of their values is checked against the categories.
    """
    found = contents.filter(pl.col("extremes").is_not_null())
    if labels_are_classes:
        found = found.filter(pl.col("role") != LABEL)
    bands = (
        found.select("role", "suffix", "extremes", band=pl.int_ranges(pl.col("extremes").list.len()))
        .explode("extremes", "band")
        .filter(pl.col("extremes").is_not_null())
        .unnest("extremes")
        .group_by("role", "suffix", "band")
        .agg(
            pl.col("lowest").min(),
            pl.col("lowest_pixels").filter(pl.col("lowest") == pl.col("lowest").min()).sum(),
            _neighbour_value("lowest").min().alias("next_lowest"),
            pl.col("highest").max(),
            pl.col("highest_pixels").filter(pl.col("highest") == pl.col("highest").max()).sum(),
            _neighbour_value("highest").max().alias("next_highest"),
        )
        .sort("role", "suffix", "band")
        .collect()
    )
    told: dict[tuple[str, str, float], list[int]] = {}
    for row in bands.iter_rows(named=True):
        for value in _find_outstanding(Extremes(**{key: row[key] for key in EXTREMES_KEYS})):
            told.setdefault((row["role"], row["suffix"], value), []).append(row["band"])
    if not told:
        return Check(NAME, True, "No outlying value looks like undeclared no data.")
    return Check(NAME, False, " ".join(_sentence(*key, bands) for key, bands in told.items()))


EXTREMES_KEYS = [field.name for field in EXTREMES.fields]


def _neighbour_value(end: str) -> pl.Expr:
    """Return the value next to the extreme of all rows, in each row."""
    is_end = pl.col(end) == (pl.col(end).min() if end == "lowest" else pl.col(end).max())
    return pl.when(is_end).then(pl.col(f"next_{end}")).otherwise(pl.col(end))


def _find_outstanding(ends: Extremes) -> list[float]:
    found = []
    low, after = ends.lowest, ends.next_lowest
    high, before = ends.highest, ends.next_highest
    if low < 0 and low.is_integer() and ends.lowest_pixels >= FEWEST_PIXELS and after is not None:
        is_only_negative = after >= 0
        if is_only_negative or after - low > (ends.highest if before is None else before) - after:
            found.append(low)
    is_mark = (high in MARKS or high >= HUGE) and ends.highest_pixels >= FEWEST_PIXELS
    if is_mark and before is not None:
        start = after if found and after is not None else low
        if high - before > before - start:
            found.append(high)
    return found


def _sentence(role: str, suffix: str, value: float, bands: list[int]) -> str:
    is_label = role == LABEL
    what = "labels" if is_label else f"images that end in {suffix!r}"
    where = (
        "" if is_label else f" (band{'s' * (len(bands) > 1)} {', '.join(map(str, bands))}; the first is 0)"
    )
    key = "label_nodata" if is_label else "nodata of their data source"
    return (
        f"The value {value:g} is far from all others of the {what}{where}, and no file declares it as no"
        f" data; if it is, set it as {key} in the manifest."
    )
