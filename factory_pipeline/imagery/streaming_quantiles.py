"""Statistics of very many values in little memory: partial results are computed per file and added.

Integers of up to 16 bits are counted by value: everything follows exactly from the counts. Other types keep
count, mean and sum of squared deviations in float64 (combined as by Chan, Golub and LeVeque, 1983), and their
percentiles are selected by radix, 16 bits of an order-preserving integer key per pass: exact, no sorting.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DIGIT_BITS = 16
DIGITS = 1 << DIGIT_BITS


@dataclass(frozen=True)
class Counts:
    """How often each value occurs, for integers of up to 16 bits."""

    lowest: int
    """The value that `counts[0]` counts."""
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[np.integer]) -> "Counts":
        """Count values (any shape) of an integer type of up to 16 bits."""
        if not values.size:
            return cls(0, np.zeros(0, dtype=np.int64))
        if values.dtype.kind == "u":
            counts = np.bincount(values.ravel())
            lowest = int((counts != 0).argmax())
            return cls(lowest, counts[lowest:])
        lowest = int(values.min())
        return cls(lowest, np.bincount(values.ravel().astype(np.int64) - lowest))

    def __add__(self, other: "Counts") -> "Counts":
        if not self.counts.size or not other.counts.size:
            return self if self.counts.size else other
        lowest = min(self.lowest, other.lowest)
        highest = max(self.lowest + self.counts.size, other.lowest + other.counts.size)
        total = np.zeros(highest - lowest, dtype=np.int64)
        for part in (self, other):
            total[part.lowest - lowest : part.lowest - lowest + part.counts.size] += part.counts
        return Counts(lowest, total)

    @property
    def total(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    @property
    def values(self) -> NDArray[np.int64]:
        """The values that occur, in ascending order."""
        return np.flatnonzero(self.counts) + self.lowest

    @property
    def by_value(self) -> dict[int, int]:
        """How often each value that occurs does, in ascending order."""
        values = self.values
        return dict(zip(values.tolist(), self.counts[values - self.lowest].tolist(), strict=True))

    @property
    def sum(self) -> int:
        """Sum of all values."""
        present = np.flatnonzero(self.counts)
        return int(((present + self.lowest) * self.counts[present]).sum())

    def moments(self) -> "Moments":
        """Compute mean and deviations by exact integer arithmetic."""
        present = np.flatnonzero(self.counts)
        if not present.size:
            return Moments()
        count = self.total
        pairs = [(int(value) + self.lowest, int(self.counts[value])) for value in present]
        first = sum(value * times for value, times in pairs)
        second = sum(value * value * times for value, times in pairs)
        return Moments(
            count,
            first / count,
            (second * count - first * first) / count,
            float(pairs[0][0]),
            float(pairs[-1][0]),
        )

    def at_ranks(self, ranks: Sequence[int]) -> list[float]:
        """Return the values at these ranks of the sorted values, the first being 0."""
        upto = np.cumsum(self.counts)
        return [float(self.lowest + int(np.searchsorted(upto, rank, side="right"))) for rank in ranks]


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared deviations and range of values, in float64."""

    count: int = 0
    mean: float = 0.0
    deviations: float = 0.0
    """Sum of squared deviations from the mean."""
    minimum: float = math.inf
    maximum: float = -math.inf

    @classmethod
    def of(cls, values: NDArray[np.generic]) -> "Moments":
        """Compute them from values of any shape and real type."""
        if not values.size:
            return cls()
        exact = values.ravel().astype(np.float64)
        mean = float(exact.mean())
        lowest, highest = float(exact.min()), float(exact.max())
        exact -= mean
        # Not a dot product, for which a BLAS would start threads beside those that read images.
        exact *= exact
        return cls(exact.size, mean, float(exact.sum()), lowest, highest)

    def __add__(self, other: "Moments") -> "Moments":
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        apart = other.mean - self.mean
        return Moments(
            count,
            self.mean + apart * (other.count / count),
            self.deviations + other.deviations + apart * apart * (self.count * other.count / count),
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )

    @property
    def std(self) -> float:
        """Standard deviation of the population (divided by the count)."""
        return math.sqrt(self.deviations / self.count)


def sort_key(values: NDArray[np.generic]) -> NDArray[np.unsignedinteger]:
    """Return unsigned integers that sort as the values do, with as many bits as the values."""
    bits = 8 * values.dtype.itemsize
    unsigned = np.dtype(f"u{values.dtype.itemsize}")
    if values.dtype.kind == "u":
        return values.astype(unsigned)
    top = unsigned.type(1 << (bits - 1))
    if values.dtype.kind == "i":
        return values.view(unsigned) ^ top
    # Adding zero turns -0.0 into 0.0, which is the same value.
    raw = np.add(values, 0, dtype=values.dtype).view(unsigned)
    return np.where(raw & top, ~raw, raw | top)


def from_sort_key(key: int, dtype: np.dtype) -> float:
    """Return the value of a key that `sort_key` computed for this type.

    Args:
        key: unsigned, of as many bits as the type.
        dtype: an integer or floating-point type.
    """
    bits = 8 * dtype.itemsize
    top = 1 << (bits - 1)
    if dtype.kind == "u":
        return float(key)
    if dtype.kind == "i":
        return float(key - top)
    raw = key ^ top if key & top else ~key & ((1 << bits) - 1)
    return float(np.array(raw, dtype=f"u{dtype.itemsize}").view(dtype))


class RadixQuantiles:
    """Exact percentiles of one band in several passes over its values, one digit of 16 bits per pass.

    In every pass all values go to `update`, in any parts and order, and the pass ends with `next_pass`.
    Memory is 512 KiB for each prefix of a key that is still searched, of which there are at most two per
    percentile, and as much again for each thread that updates, however many values there are.
    """

    def __init__(self, dtype: np.dtype, percentiles: Sequence[float]) -> None:
        """Prepare the first pass.

        Args:
            dtype: of the values, a real type of 16, 32 or 64 bits.
            percentiles: 0 to 100.
        """
        self.count = 0
        """Number of values; known after the first pass."""
        self._dtype = dtype
        self._percentiles = tuple(percentiles)
        self._digits = 8 * dtype.itemsize // DIGIT_BITS
        self._digits_known = 0
        # Per rank: the leading digits of its key so far, and the rank among keys that start with them.
        self._found: dict[int, tuple[int, int]] = {}
        self._prefixes = np.zeros(1, dtype=np.uint64)
        self._counts = np.zeros((1, DIGITS), dtype=np.int64)
        self._adding = threading.Lock()

    def update(self, values: NDArray[np.generic]) -> None:
        """Add values of a pass, of any shape and without NaN; threads may do so at the same time.

        After the last pass nothing happens.
        """
        if not values.size or self._digits_known == self._digits:
            return
        counts = count_digits(sort_key(values.ravel()), self._prefixes, self._digits_known)
        with self._adding:
            self._counts += counts

    def next_pass(self) -> bool:
        """End a pass and return whether the values are needed once more."""
        if self._digits_known == self._digits:
            return False
        if not self._digits_known:
            self.count = int(self._counts.sum())
            ranks = percentile_ranks(self.count, self._percentiles) if self.count else []
            self._found = {rank: (0, rank) for rank in ranks}
        upto = dict(zip(self._prefixes.tolist(), np.cumsum(self._counts, axis=1), strict=True))
        for rank, (prefix, within) in self._found.items():
            digit = int(np.searchsorted(upto[prefix], within, side="right"))
            before = int(upto[prefix][digit - 1]) if digit else 0
            self._found[rank] = ((prefix << DIGIT_BITS) | digit, within - before)
        self._digits_known += 1
        self._prefixes = np.unique(np.array([prefix for prefix, _ in self._found.values()], dtype=np.uint64))
        more = self._digits_known < self._digits
        self._counts = np.zeros((self._prefixes.size if more else 0, DIGITS), dtype=np.int64)
        return more

    def result(self) -> dict[float, float]:
        """Return the percentiles, linear between two values; empty without values.

        Call it after the last pass.
        """
        at = {rank: from_sort_key(prefix, self._dtype) for rank, (prefix, _) in self._found.items()}
        return {each: interpolate(self.count, each, at) for each in self._percentiles if at}

    def between(self, percentile: float) -> tuple[float, float]:
        """Return the least and greatest possible value at or below a percentile, from the passes so far."""
        rank = math.floor((self.count - 1) * percentile / 100)
        unknown = DIGIT_BITS * (self._digits - self._digits_known)
        lowest = self._found[rank][0] << unknown
        return from_sort_key(lowest, self._dtype), from_sort_key(lowest + (1 << unknown) - 1, self._dtype)


def count_digits(
    keys: NDArray[np.unsignedinteger], prefixes: NDArray[np.uint64], digits_known: int
) -> NDArray[np.int64]:
    """Return how often each next digit follows each of the prefixes: (prefixes, DIGITS).

    Args:
        keys: (values,), from `sort_key`.
        prefixes: sorted leading digits, of `digits_known` digits each; not used where that is 0.
        digits_known: number of leading digits, of DIGIT_BITS bits each.
    """
    bits = 8 * keys.dtype.itemsize
    shift = bits - DIGIT_BITS * (digits_known + 1)
    digit = ((keys >> keys.dtype.type(shift)) & keys.dtype.type(DIGITS - 1)).astype(np.int64)
    if digits_known == 0:
        return np.bincount(digit, minlength=DIGITS)[None]
    lead = keys >> keys.dtype.type(shift + DIGIT_BITS)
    known = prefixes.astype(keys.dtype)
    position = np.searchsorted(known, lead)
    hit = known[np.minimum(position, known.size - 1)] == lead
    flat = np.bincount(position[hit] * DIGITS + digit[hit], minlength=known.size * DIGITS)
    return flat.reshape(known.size, DIGITS)


def percentile_ranks(count: int, percentiles: Sequence[float]) -> list[int]:
    """Return the ranks that percentiles of `count` values need, for linear interpolation between two.

    Args:
        count: number of values, at least 1.
        percentiles: 0 to 100.

    Returns:
        Ranks from 0, sorted, without repeats.
    """
    ranks: set[int] = set()
    for percentile in percentiles:
        position = (count - 1) * percentile / 100
        ranks.update((math.floor(position), min(math.floor(position) + 1, count - 1)))
    return sorted(ranks)


def interpolate(count: int, percentile: float, at: Mapping[int, float]) -> float:
    """Interpolate a percentile linearly, as numpy's default; `at` has the values at the ranks.

    Args:
        count: number of values, at least 1.
        percentile: 0 to 100.
        at: by rank from 0: at least the ranks of `percentile_ranks`.
    """
    position = (count - 1) * percentile / 100
    below = math.floor(position)
    above = min(below + 1, count - 1)
    return at[below] + (at[above] - at[below]) * (position - below)
