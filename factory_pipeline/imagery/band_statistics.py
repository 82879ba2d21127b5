"""Statistics of each band over many files.

Every valid pixel counts. Files are read in strips by several threads; their partial results are combined in
the order of the files, so that the result does not depend on the number of threads. Integers of up to 16 bits
require one pass over the files, 32-bit numbers two, the second for percentiles and histograms.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.band_tallies import (
    NO_COUNTS,
    BandTally,
    add_tallies,
    count_bands,
    is_countable,
)
from factory_pipeline.imagery.known_tiffs import quick_strips
from factory_pipeline.imagery.pixels import data_type
from factory_pipeline.imagery.streaming_quantiles import (
    Moments,
    RadixQuantiles,
    interpolate,
    percentile_ranks,
)
from factory_pipeline.thread_map import map_in_threads

PERCENTILES = (1.0, 2.0, 5.0, 25.0, 50.0, 75.0, 95.0, 98.0, 99.0)
HISTOGRAM_RANGE = (0.5, 99.5)
"""Percentiles that bound the histogram, so that one saturated pixel doesn't flatten it."""
_PERCENTILES_NEEDED = (*PERCENTILES, *HISTOGRAM_RANGE)
HISTOGRAM_BINS = 64
TallyOf = Callable[[str, np.dtype | None], list[BandTally] | None]
"""Returns the tallies of a file by its path, of values of a type; None where they are not known."""


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
    """Pixels that are ignored: no data, NaN, infinite."""
    mean: float | None
    std: float | None
    """Standard deviation of the population (divided by the count), in the units stored in the file."""
    minimum: float | None
    maximum: float | None
    percentiles: dict[str, float]
    """Interpolated linearly between two pixels, as numpy's default; keys such as p1 and p50."""
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
    tally_of: TallyOf = lambda _path, _dtype: None,
) -> tuple[list[BandStatistics], list[EmptyBand]]:
    """Compute statistics of each band over all files, which must have the same bands and data type.

    Args:
        files: their paths; a text needs a fraction of the memory of a Path.
        modality: the modality of the files.
        band_names: in the order of the files' bands.
        workers: number of files that are read concurrently.
        root: folder that relative paths start from.
        tally_of: the tallies of a file as its pixels give them, if they are known.

    Returns:
        The statistics by band, and the bands of single images that have no valid pixel.

    Raises:
        OnboardingError: CHECK_FAILED, there is no file, one can't be read, or one differs from the others in
            bands or data type.
    """
    if not files:
        raise OnboardingError("CHECK_FAILED", f"No training image is of the modality {modality}.")
    dtype = data_type(root / files[0])
    if dtype.kind not in "iuf":
        raise OnboardingError(
            "CHECK_FAILED", f"{Path(files[0]).name} has the data type {dtype}, which is not a real number."
        )
    counted = is_countable(dtype)
    quantiles = [] if counted else [RadixQuantiles(dtype, _PERCENTILES_NEEDED) for _ in band_names]

    def counts_of_file(path: str | Path) -> list[BandTally]:
        if counted:
            known = tally_of(str(path), dtype)
            if known is not None and len(known) == len(band_names):
                return known
            return _count_values(root / path, len(band_names), dtype)
        return _first_pass(root / path, dtype, quantiles)

    totals: list[BandTally] = []
    empty: list[EmptyBand] = []
    parts = map_in_threads(counts_of_file, files, workers)
    for path, part in zip(files, parts, strict=True):
        empty += [
            EmptyBand(Path(path).name, modality, name)
            for name, band in zip(band_names, part, strict=True)
            if not band.moments.count and not band.counts.total
        ]
        totals = add_tallies(totals, part)
    if counted:
        ready = [_summarize_counts(total) for total in totals]
    else:
        ready = _further_passes(files, root, totals, dtype, quantiles, workers)
    found = [
        _statistics(modality, name, dtype, total.no_data, *band)
        for name, total, band in zip(band_names, totals, ready, strict=True)
    ]
    return found, empty


def _count_values(path: Path, bands: int, dtype: np.dtype) -> list[BandTally]:
    totals: list[BandTally] = []
    for values, valid in quick_strips(path, bands, dtype):
        totals = add_tallies(totals, count_bands(values, valid))
    return totals


def _first_pass(path: Path, dtype: np.dtype, quantiles: Sequence[RadixQuantiles]) -> list[BandTally]:
    totals: list[BandTally] = []
    for values, valid in quick_strips(path, len(quantiles), dtype):
        part = []
        for band, good, quantile in zip(values, valid, quantiles, strict=True):
            kept = band[good]
            quantile.update(kept)
            part.append(BandTally(int((~good).sum()), NO_COUNTS, Moments.of(kept)))
        totals = add_tallies(totals, part)
    return totals


_Ready = tuple[Moments, dict[float, float], Histogram | None]
"""Moments, percentiles, histogram."""


def _summarize_counts(total: BandTally) -> _Ready:
    moments = total.counts.moments()
    if not moments.count:
        return moments, {}, None
    ranks = percentile_ranks(moments.count, _PERCENTILES_NEEDED)
    at = dict(zip(ranks, total.counts.at_ranks(ranks), strict=True))
    percentiles = {each: interpolate(moments.count, each, at) for each in _PERCENTILES_NEEDED}
    low, high = (math.floor(percentiles[edge]) for edge in HISTOGRAM_RANGE)
    width = math.ceil((high + 1 - low) / HISTOGRAM_BINS)
    bins = math.ceil((high + 1 - low) / width)
    values = np.arange(total.counts.counts.size) + total.counts.lowest
    index = (values - low) // width
    inside = (index >= 0) & (index < bins)
    binned = np.bincount(index[inside], weights=total.counts.counts[inside], minlength=bins)
    return (
        moments,
        percentiles,
        Histogram(
            float(low),
            float(low + width * bins),
            tuple(int(count) for count in binned),
            int(total.counts.counts[index < 0].sum()),
            int(total.counts.counts[index >= bins].sum()),
        ),
    )


def _further_passes(
    files: Sequence[str | Path],
    root: Path,
    totals: list[BandTally],
    dtype: np.dtype,
    quantiles: Sequence[RadixQuantiles],
    workers: int,
) -> list[_Ready]:
    """Read all files again until the percentiles are known.

    The first of these passes also fills the histograms.
    """
    more = [quantile.next_pass() for quantile in quantiles]
    edges = [_edges(quantile, total.moments) for quantile, total in zip(quantiles, totals, strict=True)]
    binned = [np.zeros(HISTOGRAM_BINS + 2, dtype=np.int64) for _ in totals]
    for part in map_in_threads(
        lambda path: _second_pass(root / path, dtype, quantiles, edges), files, workers
    ):
        for bins, found in zip(binned, part, strict=True):
            bins += found
    more = [quantile.next_pass() for quantile in quantiles]
    while any(more):
        for _ in map_in_threads(lambda path: _count_again(root / path, dtype, quantiles), files, workers):
            pass
        more = [quantile.next_pass() for quantile in quantiles]
    return [
        (
            total.moments,
            quantile.result(),
            Histogram(*edge, tuple(bins[1:-1].tolist()), int(bins[0]), int(bins[-1]))
            if total.moments.count
            else None,
        )
        for total, quantile, edge, bins in zip(totals, quantiles, edges, binned, strict=True)
    ]


def _edges(quantiles: RadixQuantiles, moments: Moments) -> tuple[float, float]:
    """Return the limits of a histogram: around two percentiles, to the precision of the leading digit."""
    if not moments.count:
        return 0.0, 1.0
    first, last = HISTOGRAM_RANGE
    low = max(quantiles.between(first)[0], moments.minimum)
    high = min(quantiles.between(last)[1], moments.maximum)
    return low, high if high > low else low + max(abs(low) * 1e-6, 1e-6)


def _second_pass(
    path: Path, dtype: np.dtype, quantiles: Sequence[RadixQuantiles], edges: Sequence[tuple[float, float]]
) -> list[NDArray[np.int64]]:
    """Update the percentiles of each band; return its bins, including those below and above."""
    bins = [np.zeros(HISTOGRAM_BINS + 2, dtype=np.int64) for _ in quantiles]
    for values, valid in quick_strips(path, len(quantiles), dtype):
        for band, quantile, (low, high) in zip(range(len(bins)), quantiles, edges, strict=True):
            kept = values[band][valid[band]]
            if not kept.size:
                continue
            quantile.update(kept)
            exact = kept.astype(np.float64)
            index = np.floor((exact - low) / (high - low) * HISTOGRAM_BINS)
            index = np.where(exact <= high, np.clip(index, -1, HISTOGRAM_BINS - 1), HISTOGRAM_BINS)
            bins[band] += np.bincount(index.astype(np.int64) + 1, minlength=HISTOGRAM_BINS + 2)
    return bins


def _count_again(path: Path, dtype: np.dtype, quantiles: Sequence[RadixQuantiles]) -> None:
    for values, valid in quick_strips(path, len(quantiles), dtype):
        for band, good, quantile in zip(values, valid, quantiles, strict=True):
            quantile.update(band[good])


def _statistics(
    modality: str,
    band: str,
    dtype: np.dtype,
    no_data: int,
    moments: Moments,
    percentiles: dict[float, float],
    histogram: Histogram | None,
) -> BandStatistics:
    if not moments.count:
        return BandStatistics(modality, band, str(dtype), 0, no_data, None, None, None, None, {}, None)
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
        {f"p{percentile:g}": percentiles[percentile] for percentile in PERCENTILES},
        histogram,
    )
