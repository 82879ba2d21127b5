"""Whether the windows of a build leak, found band by band of the ground: memory does not grow with windows.

A sweep from south to north: a footprint is in memory from its own band until the first that it can't reach
into. The pairs are those that `leakage.leak_report` finds of windows without a known content, each once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.imagery.ground_bands import BAND_IMAGES, Band, GroundBands
from factory_pipeline.imagery.overlap import Ground, latitude_margin, search_bounds
from factory_pipeline.splits.connected_groups import group_numbers
from factory_pipeline.splits.distance import nearest_distance
from factory_pipeline.splits.leakage import (
    LargestShare,
    LeakReport,
    chance_of_crossing,
    chance_of_leaking,
)
from factory_pipeline.splits.names import SPLITS, TRAIN

_TRAIN = SPLITS.index(TRAIN)
_LEAST_RADIUS_M = 6_330_000.0
"""No meridian is more curved than a circle of this radius."""


@dataclass(frozen=True)
class WindowLeaks:
    """What the search has found."""

    leaks: LeakReport
    groups: int
    """Sets of windows that overlap, also by others between them; a window without an overlap is one."""
    largest_group: int
    """Windows of the largest of them."""
    splits: dict[str, int]
    """Windows by split."""


def search_windows(
    parts: Iterable[pl.DataFrame], folder: Path, buffer_m: float = 0.0, band_images: int = BAND_IMAGES
) -> WindowLeaks:
    """Search every pair of windows that overlap or lie within `buffer_m`.

    Args:
        parts: the windows, some at a time: the columns of `imagery.footprints`, and `split`, one of SPLITS.
        folder: of a temporary file of 100 bytes for each window.
        buffer_m: distance in metres below which two windows count as a pair; 0 for overlap alone.
        band_images: as for `GroundBands`.
    """
    splits, apart = np.zeros(len(SPLITS), np.int64), 0
    with GroundBands(folder, band_images) as bands:
        for part in parts:
            sides = part["split"].replace_strict(
                {name: side for side, name in enumerate(SPLITS)}, return_dtype=pl.Int8
            )
            is_placed = bands.add(part, sides.to_numpy())
            splits += np.bincount(sides, minlength=len(SPLITS))
            apart += int((~is_placed).sum())
        sweep = _Sweep(buffer_m)
        for band in bands:
            sweep.add(band)
        distance_m = 0.0 if sweep.touches else _distance_between(bands, sweep.reaches)
    # A window without a place is a group of its own, and has no neighbour.
    sweep.neighbours[0] += apart
    counts = splits.tolist()
    total, held_out = sum(counts), sum(counts) - counts[_TRAIN]
    leaks = LeakReport(
        pairs=sweep.pairs,
        crossing_pairs=sweep.crossing_pairs,
        crossing=None,
        leaking_share=sweep.leaking / held_out if held_out else 0.0,
        random_pairs=sweep.pairs * chance_of_crossing(counts),
        random_leaking_share=chance_of_leaking(sweep.neighbours, counts[_TRAIN]),
        images=total,
        placed=total - apart,
        tested=sweep.tested,
        largest_overlap=sweep.shares.largest,
        distance_m=distance_m,
        held_out=held_out,
    )
    return WindowLeaks(
        leaks,
        sweep.groups + apart,
        max(sweep.largest_group, min(apart, 1)),
        dict(zip(SPLITS, counts, strict=True)),
    )


@dataclass(frozen=True)
class _Footprints:
    """Footprints that pairs are still searched for."""

    corners: NDArray[np.float64]
    """(footprints, 4, 2)."""
    inset: NDArray[np.float64]
    """(footprints, 4, 2)."""
    windows: NDArray[np.int64]
    """(footprints, splits) how many windows of each split it has."""
    neighbours: NDArray[np.int64]
    """(footprints,) windows of other footprints that are near it."""
    leaks: NDArray[np.bool_]
    """(footprints,) True where its held-out windows, if it has any, are near a training window."""
    group: NDArray[np.int64]
    """(footprints,) position in `_Sweep._sizes` of the group that it is in; -1 for none yet."""

    @classmethod
    def of(cls, band: Band) -> Self:
        ground = Ground.of_corners(band.corners, band.sizes)
        count = len(ground.corners)
        windows = np.stack(
            [np.bincount(ground.number[band.sides == side], minlength=count) for side in range(len(SPLITS))],
            axis=1,
        )
        several = windows.sum(axis=1)
        return cls(
            ground.corners,
            ground.inset,
            windows,
            np.zeros(count, np.int64),
            (windows[:, _TRAIN] > 0) & (windows[:, _TRAIN] < several),
            np.full(count, -1),
        )

    def join(self, other: Self) -> Self:
        return type(self)(
            *(np.concatenate([getattr(self, each.name), getattr(other, each.name)]) for each in fields(self))
        )

    def take(self, members: NDArray[np.bool_]) -> Self:
        return type(self)(*(getattr(self, each.name)[members] for each in fields(self)))


class _Sweep:
    """The pairs of the bands so far, from south to north."""

    def __init__(self, buffer_m: float) -> None:
        self._buffer_m = buffer_m
        self._margin = latitude_margin(buffer_m)
        self._live: _Footprints | None = None
        self._sizes = np.empty(0, np.int64)
        """Windows of each group that has a footprint among those in memory."""
        self.pairs = self.crossing_pairs = self.tested = 0
        self.leaking = 0
        """Held-out windows that are near a training one."""
        self.neighbours = np.zeros(1, np.int64)
        """How many windows have 0, 1, 2, ... neighbours."""
        self.groups = self.largest_group = 0
        self.shares = LargestShare()
        self.touches = False
        """Whether a training window shares ground with a held-out one."""
        self.reaches: list[_Reach] = []
        """Of each band."""

    def add(self, band: Band) -> None:
        """Find the pairs of a band with one another and with those south of it."""
        new = _Footprints.of(band)
        self.reaches.append(_Reach.of(new))
        self._count_each(new)
        live = new if self._live is None else self._live.join(new)
        known = len(live.corners) - len(new.corners)
        count = len(live.corners)
        # The groups so far are members too, of no footprint of their own.
        old = np.flatnonzero(live.group >= 0)
        links = np.stack([old, count + live.group[old]], axis=1)
        group = group_numbers(count + len(self._sizes), self._near(live, known, links))
        windows = np.concatenate([np.where(live.group < 0, live.windows.sum(axis=1), 0), self._sizes])
        sizes = np.zeros(len(group), np.int64)
        np.add.at(sizes, group, windows)
        bounds = search_bounds(live.corners if self._buffer_m > 0 else live.inset, self._buffer_m)
        stays = bounds[:, 3] >= band.next_south - self._margin
        self._end(live.take(~stays))
        kept, number = np.unique(group[:count][stays], return_inverse=True)
        ended = np.setdiff1d(group, kept)
        self.groups += len(ended)
        self.largest_group = max(self.largest_group, int(sizes[ended].max(initial=0)))
        self._sizes = sizes[kept]
        stayed = live.take(stays)
        stayed.group[:] = number.reshape(-1)
        self._live = stayed

    def _count_each(self, new: _Footprints) -> None:
        """Count the pairs of windows of one footprint."""
        size = new.windows.sum(axis=1)
        together = size * (size - 1) // 2
        same = (new.windows * (new.windows - 1) // 2).sum(axis=1)
        self.pairs += int(together.sum())
        self.crossing_pairs += int((together - same).sum())
        if (together > same).any():
            self.shares.largest = 1.0
        self.touches |= bool(new.leaks.any())

    def _near(self, live: _Footprints, known: int, links: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Count the pairs of different footprints, and yield what belongs to one group.

        Args:
            live: the footprints in memory.
            known: as many of them, the first ones, have found one another before.
            links: of footprints with the groups that they are in.
        """
        yield links
        ground = Ground(np.arange(len(live.corners)), live.corners, live.inset)
        size, train = live.windows.sum(axis=1), live.windows[:, _TRAIN]
        for candidates in ground.candidates(self._buffer_m):
            candidates = candidates[candidates.max(axis=1) >= known]
            self.tested += len(candidates)
            near = candidates[ground.are_near(candidates, self._buffer_m)]
            one, other = near.T
            together = size[one] * size[other]
            crossing = together - (live.windows[one] * live.windows[other]).sum(axis=1)
            self.pairs += int(together.sum())
            self.crossing_pairs += int(crossing.sum())
            for first, second in ((one, other), (other, one)):
                np.add.at(live.neighbours, first, size[second])
                live.leaks[first[train[second] > 0]] = True
                if self._buffer_m <= 0:
                    self.touches |= bool(((train[first] > 0) & (size[second] > train[second])).any())
            self.shares.look_at(ground, near[crossing > 0])
            yield near

    def _end(self, footprints: _Footprints) -> None:
        """Count footprints of which all pairs are found."""
        size = footprints.windows.sum(axis=1)
        degrees = footprints.neighbours + size - 1
        counted = np.zeros(max(len(self.neighbours), int(degrees.max(initial=0)) + 1), np.int64)
        counted[: len(self.neighbours)] = self.neighbours
        np.add.at(counted, degrees, size)
        self.neighbours = counted
        held_out = size - footprints.windows[:, _TRAIN]
        self.leaking += int(held_out[footprints.leaks].sum())


@dataclass(frozen=True)
class _Reach:
    """How far the windows of a band reach, in degrees of latitude, and of which sides it has some."""

    south: float
    north: float
    has_train: bool
    has_held_out: bool

    @classmethod
    def of(cls, new: _Footprints) -> "_Reach":
        latitudes, train = new.corners[..., 1], new.windows[:, _TRAIN]
        return cls(
            float(latitudes.min()),
            float(latitudes.max()),
            bool((train > 0).any()),
            bool((new.windows.sum(axis=1) > train).any()),
        )


def _distance_between(bands: GroundBands, reaches: list[_Reach]) -> float | None:
    """Return the smallest distance between a training window and a held-out one; None without one of them.

    Args:
        bands: of the windows, of which no footprint has both.
        reaches: of the bands.
    """
    best = np.inf
    for number, here in enumerate(reaches):
        for other in range(number, -1, -1):
            there = reaches[other]
            if not ((here.has_train and there.has_held_out) or (here.has_held_out and there.has_train)):
                continue
            # Through the Earth, as the circles of footprints are compared.
            apart_m = 2 * _LEAST_RADIUS_M * np.sin(np.radians(here.south - there.north) / 2)
            if apart_m >= best:
                continue
            mine = _Footprints.of(bands.band(number))
            both = mine if other == number else mine.join(_Footprints.of(bands.band(other)))
            is_train = both.windows[:, _TRAIN] > 0
            train, held_out = np.flatnonzero(is_train), np.flatnonzero(~is_train)
            ground = Ground(np.arange(len(is_train)), both.corners, both.inset)
            best = nearest_distance(ground, train, held_out, best)
    return None if np.isinf(best) else best
