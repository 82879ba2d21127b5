"""Statistics of each band over many files.

Every valid pixel counts. Files are read in strips by several threads; their parts are added up in the order
of the files, so that the result does not depend on the number of threads. Integers of up to 16 bits take one
pass over the files, 32-bit numbers two, the second for percentiles and histograms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.parallel_map import in_order
from factory_pipeline.imagery.pixels import data_type, strips
from factory_pipeline.imagery.streaming_quantiles import (
    Counts,
    Moments,
    Selection,
    count_digits,
    interpolated,
    percentile_ranks,
    sort_key,
)

PERCENTILES = (1.0, 2.0, 5.0, 25.0, 50.0, 75.0, 95.0, 98.0, 99.0)
HISTOGRAM_RANGE = (0.5, 99.5)
"""Percentiles between which a histogram is drawn, so that one saturated pixel doesn't flatten it."""
HISTOGRAM_BINS = 64


@dataclass(frozen=True)
class Histogram:
    """Pixels in bins of equal width."""

    low: float
    high: float
    counts: tuple[int, ...]
    below: int
    """Pixels left of the first bin."""
    above: int
    """Pixels right of the last bin."""


@dataclass(frozen=True)
class BandStatistics:
    """One band over all training images; the numbers are null where no pixel is valid."""

    modality: str
    band: str
    dtype: str
    pixels: int
    """Valid pixels."""
    no_data: int
    """Pixels left out: no data, NaN, infinite."""
    mean: float | None
    std: float | None
    """Of the population (divided by the count), in the units stored in the file."""
    minimum: float | None
    maximum: float | None
    percentiles: dict[str, float]
    """Linear between two pixels, as numpy's default; keys such as p1 and p50."""
    histogram: Histogram | None


@dataclass(frozen=True)
class EmptyBand:
    """A band of one image without a valid pixel; the other bands of the image still count."""

    file: str
    modality: str
    band: str


def band_statistics(
    files: Sequence[str | Path],
    modality: str,
    band_names: Sequence[str],
    workers: int = 4,
    root: Path = Path(),
) -> tuple[list[BandStatistics], list[EmptyBand]]:
    """Statistics of each band over all files, which must agree in bands and data type.

    Args:
        files: their paths; a text takes a fraction of the memory of a Path.
        modality: what the files are of.
        band_names: in the order of the files' bands.
        workers: files read at once.
        root: folder that relative paths start from.

    Raises:
        OnboardingError: CHECK_FAILED, there is no file, one can't be read, or one doesn't fit the others.
    """
    if not files:
        raise OnboardingError("CHECK_FAILED", f"No training image is of the modality {modality}.")
    dtype = data_type(root / files[0])
    if dtype.kind not in "iuf":
        raise OnboardingError(
            "CHECK_FAILED", f"{Path(files[0]).name} has the data type {dtype}, which is not a real number."
        )
    counted = dtype.kind in "iu" and dtype.itemsize <= 2
    tally = _count_values if counted else _first_digits
    totals: list[_Tally] = []
    empty: list[EmptyBand] = []
    parts = in_order(lambda path: tally(root / path, len(band_names), dtype), files, workers)
    for path, part in zip(files, parts, strict=True):
        empty += [
            EmptyBand(Path(path).name, modality, name)
            for name, band in zip(band_names, part, strict=True)
            if not band.moments.count and not band.counts.total
        ]
        totals = [one + other for one, other in zip(totals, part, strict=True)] if totals else part
    if counted:
        ready = [_from_counts(total) for total in totals]
    else:
        ready = _from_digits(files, root, totals, dtype, workers)
    found = [
        _statistics(modality, name, dtype, total.no_data, *band)
        for name, total, band in zip(band_names, totals, ready, strict=True)
    ]
    return found, empty


@dataclass(frozen=True)
class _Tally:
    """One band of one file or of all: counts by value, or moments and the counts of the first digit."""

    no_data: int
    counts: Counts
    moments: Moments
    digits: NDArray[np.int64] | None

    def __add__(self, other: "_Tally") -> "_Tally":
        digits = None if self.digits is None or other.digits is None else self.digits + other.digits
        return _Tally(
            self.no_data + other.no_data, self.counts + other.counts, self.moments + other.moments, digits
        )


_NO_COUNTS = Counts(0, np.zeros(0, dtype=np.int64))


def _count_values(path: Path, bands: int, dtype: np.dtype) -> list[_Tally]:
    totals: list[_Tally] = []
    for values, valid in strips(path, bands, dtype):
        part = [
            _Tally(int((~good).sum()), Counts.of(band if good.all() else band[good]), Moments(), None)
            for band, good in zip(values, valid, strict=True)
        ]
        totals = [one + other for one, other in zip(totals, part, strict=True)] if totals else part
    return totals


def _first_digits(path: Path, bands: int, dtype: np.dtype) -> list[_Tally]:
    totals: list[_Tally] = []
    for values, valid in strips(path, bands, dtype):
        part = []
        for band, good in zip(values, valid, strict=True):
            kept = band[good]
            digits = count_digits(sort_key(kept), np.zeros(1, dtype=np.uint64), 0)
            part.append(_Tally(int((~good).sum()), _NO_COUNTS, Moments.of(kept), digits))
        totals = [one + other for one, other in zip(totals, part, strict=True)] if totals else part
    return totals


_Ready = tuple[Moments, dict[int, float], Histogram | None]
"""Moments, values by rank, histogram."""


def _from_counts(total: _Tally) -> _Ready:
    moments = total.counts.moments()
    if not moments.count:
        return moments, {}, None
    ranks = percentile_ranks(moments.count, (*PERCENTILES, *HISTOGRAM_RANGE))
    at = dict(zip(ranks, total.counts.at_ranks(ranks), strict=True))
    low, high = (math.floor(interpolated(moments.count, edge, at)) for edge in HISTOGRAM_RANGE)
    width = math.ceil((high + 1 - low) / HISTOGRAM_BINS)
    bins = math.ceil((high + 1 - low) / width)
    values = np.arange(total.counts.counts.size) + total.counts.lowest
    place = (values - low) // width
    inside = (place >= 0) & (place < bins)
    binned = np.bincount(place[inside], weights=total.counts.counts[inside], minlength=bins)
    return (
        moments,
        at,
        Histogram(
            float(low),
            float(low + width * bins),
            tuple(int(count) for count in binned),
            int(total.counts.counts[place < 0].sum()),
            int(total.counts.counts[place >= bins].sum()),
        ),
    )


def _from_digits(
    files: Sequence[str | Path], root: Path, totals: list[_Tally], dtype: np.dtype, workers: int
) -> list[_Ready]:
    """Select the percentiles: a pass over all files per further digit; the first fills the histograms too."""
    counts = [total.moments.count for total in totals]
    selections = [
        Selection(dtype, percentile_ranks(count, (*PERCENTILES, *HISTOGRAM_RANGE)) if count else [])
        for count in counts
    ]
    for selection, total in zip(selections, totals, strict=True):
        if selection.ranks and total.digits is not None:
            selection.narrow(total.digits)
    edges = [_edges(selection, total.moments) for selection, total in zip(selections, totals, strict=True)]
    binned = [np.zeros(HISTOGRAM_BINS + 2, dtype=np.int64) for _ in totals]
    for digits_known in range(1, 8 * dtype.itemsize // 16):
        wanted = [selection.wanted for selection in selections]
        sums: list[NDArray[np.int64] | int] = [0 for _ in totals]

        def count(
            path: str | Path, wanted: list[NDArray[np.uint64]] = wanted, known: int = digits_known
        ) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
            return _next_digits(root / path, dtype, wanted, known, edges)

        for part in in_order(count, files, workers):
            for band, (digits, bins) in enumerate(part):
                sums[band] = sums[band] + digits
                if digits_known == 1:
                    binned[band] += bins
        for selection, total_digits in zip(selections, sums, strict=True):
            if selection.ranks:
                selection.narrow(np.asarray(total_digits))
    return [
        (
            total.moments,
            selection.values(),
            Histogram(*edge, tuple(bins[1:-1].tolist()), int(bins[0]), int(bins[-1]))
            if selection.ranks
            else None,
        )
        for total, selection, edge, bins in zip(totals, selections, edges, binned, strict=True)
    ]


def _edges(selection: Selection, moments: Moments) -> tuple[float, float]:
    """Where a histogram begins and ends: around two percentiles, as near as the leading digit tells."""
    if not moments.count:
        return 0.0, 1.0
    first, last = (math.floor((moments.count - 1) * edge / 100) for edge in HISTOGRAM_RANGE)
    low = max(selection.between(first)[0], moments.minimum)
    high = min(selection.between(last)[1], moments.maximum)
    return low, high if high > low else low + max(abs(low) * 1e-6, 1e-6)


def _next_digits(
    path: Path,
    dtype: np.dtype,
    wanted: list[NDArray[np.uint64]],
    digits_known: int,
    edges: list[tuple[float, float]],
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    digits = [np.zeros((prefixes.size, 1 << 16), dtype=np.int64) for prefixes in wanted]
    bins = [np.zeros(HISTOGRAM_BINS + 2, dtype=np.int64) for _ in wanted]
    for values, valid in strips(path, len(wanted), dtype):
        for band, (kept, prefixes, (low, high)) in enumerate(
            zip((row[good] for row, good in zip(values, valid, strict=True)), wanted, edges, strict=True)
        ):
            if not kept.size:
                continue
            digits[band] += count_digits(sort_key(kept), prefixes, digits_known)
            exact = kept.astype(np.float64)
            place = np.floor((exact - low) / (high - low) * HISTOGRAM_BINS)
            place = np.where(exact <= high, np.clip(place, -1, HISTOGRAM_BINS - 1), HISTOGRAM_BINS)
            bins[band] += np.bincount(place.astype(np.int64) + 1, minlength=HISTOGRAM_BINS + 2)
    return list(zip(digits, bins, strict=True))


def _statistics(
    modality: str,
    band: str,
    dtype: np.dtype,
    no_data: int,
    moments: Moments,
    at: dict[int, float],
    histogram: Histogram | None,
) -> BandStatistics:
    if not moments.count:
        return BandStatistics(modality, band, str(dtype), 0, no_data, None, None, None, None, {}, None)
    percentiles = {
        f"p{percentile:g}": interpolated(moments.count, percentile, at) for percentile in PERCENTILES
    }
    return BandStatistics(
        modality,
        band,
        str(dtype),
        moments.count,
        no_data,
        moments.mean,
        moments.std,
        moments.minimum,
        moments.maximum,
        percentiles,
        histogram,
    )
