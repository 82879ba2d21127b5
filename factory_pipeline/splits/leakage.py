"""Whether a split leaks: overlapping, identical or near-identical images in different splits.

Images of one footprint and content are counted together, as a kind: a thousand dates of one place are half a
million pairs, but one kind. The search does not use the groups by which the split was made: it is its proof.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.imagery.footprints import FOOTPRINT_COLUMNS
from factory_pipeline.imagery.overlap import Ground, number_rows
from factory_pipeline.splits.distance import distance_between
from factory_pipeline.splits.names import SPLITS, TRAIN

COPIES_SCHEMA = {"stem": pl.String(), "other_stem": pl.String(), "correlation": pl.Float64()}
"""Columns of pairs of images that show the same, as `near_identical.find_copies` returns them."""
_MEASURED = 4096
"""Pairs whose shared area is measured at a time."""
DUPLICATE, COPY, OVERLAP = "duplicate", "copy", "overlap"
"""Reasons of a leaking pair: the same bytes, the same picture in other bytes, the same ground."""


@dataclass(frozen=True)
class LeakReport:
    """What the search for pairs across splits has found."""

    pairs: int
    """Pairs of images that overlap or are duplicates or copies, whatever their splits."""
    crossing_pairs: int
    """Those in different splits."""
    crossing: pl.DataFrame | None
    """The images of such pairs, a row each: `stem`, `split`, one other image of them as `other_stem`,
    `other_split`, and `reason`: duplicate, copy or overlap. Empty where nothing leaks; None where the images
    are counted alone, as those of a build are."""
    leaking_share: float
    """Fraction (0 to 1) of the test and validation images that overlap or duplicate a training image."""
    random_pairs: float
    """Pairs that a random split with the same counts would leave in different splits, in the mean."""
    random_leaking_share: float
    """Fraction (0 to 1) of the test and validation images that would then leak, in the mean."""
    images: int
    placed: int
    """Images that are georeferenced; overlap is searched among these alone."""
    tested: int = 0
    """Pairs of footprints whose bounds meet, all of which were compared."""
    duplicates: int = 0
    """Images that have the same content as another one."""
    copies: int | None = None
    """Pairs of near-identical images; None where no pixels were compared."""
    compared: int = 0
    """Images whose pixels were compared."""
    largest_overlap: float = 0.0
    """Largest fraction (0 to 1) of the smaller image that two images of different splits share."""
    distance_m: float | None = None
    """Smallest distance in metres between a training image and one of the others; None where unknown."""
    held_out: int = 0
    """Test and validation images."""

    @property
    def leaks(self) -> bool:
        """True where a pair is in different splits."""
        return self.crossing_pairs > 0

    @property
    def leaking(self) -> int:
        """Test and validation images that overlap or duplicate a training image."""
        return round(self.leaking_share * self.held_out)


def leak_report(
    items: pl.DataFrame,
    split: pl.DataFrame,
    buffer_m: float = 0.0,
    copies: pl.DataFrame | None = None,
    compared: int | None = None,
    ground: Ground | None = None,
) -> LeakReport:
    """Search every pair of images that overlap, lie within `buffer_m`, or have the same content.

    The chances are exact: with n images, of which n_s fall in split s, two images fall in different splits
    with probability 1 - sum n_s (n_s - 1) / (n (n - 1)), and a held-out image with d neighbours has none of
    them in training with the hypergeometric probability of drawing d others outside it.

    Args:
        items: `stem`, `sha256` (null where unknown) and the columns of `imagery.footprints`.
        split: `stem`, `split`; an image without a split is left out.
        buffer_m: distance in metres below which two images count as a pair; 0 for overlap alone.
        copies: pairs of near-identical images, in COPIES_SCHEMA; None where no pixels were compared.
        compared: images whose pixels were compared, where there are copies; None for all.
        ground: where the items are, if that is known.
    """
    divided = split.drop_nulls("split")
    frame = items.select("stem", "sha256").join(divided, on="stem", how="inner", maintain_order="left")
    if ground is None or frame.height != items.height:
        placed = items.select("stem", *FOOTPRINT_COLUMNS)
        ground = Ground.of(placed.join(divided, on="stem", how="inner", maintain_order="left"))
    kinds = _Kinds.of(frame, ground, copies)
    found = _Found(kinds)
    tested = 0
    shares = LargestShare()
    for candidates in ground.candidates(buffer_m):
        tested += len(candidates)
        near = candidates[ground.are_near(candidates, buffer_m)]
        pairs, footprints = kinds.on(near)
        crossing = found.add(pairs, OVERLAP)
        shares.look_at(ground, footprints[crossing])
    on_one = found.add(kinds.on_one_footprint(), OVERLAP)
    if found.add_each_with_itself() or on_one.any():
        shares.largest = 1.0
    for pairs in kinds.of_one_content():
        # Those that overlap too were counted.
        apart = ~kinds.are_near(ground, pairs, buffer_m)
        found.add(pairs[apart], DUPLICATE)
        found.mark(pairs[~apart], DUPLICATE)
    if copies is not None:
        pairs = kinds.copies(frame, copies)
        known = kinds.are_near(ground, pairs, buffer_m) | kinds.have_one_content(pairs)
        found.add(pairs[~known], COPY)
        found.mark(pairs[known], COPY)

    held_out = (frame["split"] != TRAIN).to_numpy()
    counts = [int((frame["split"] == name).sum()) for name in SPLITS]
    total = frame.height
    leaking = (found.training[kinds.kind] > 0)[held_out]
    return LeakReport(
        pairs=found.pairs,
        crossing_pairs=found.crossing_pairs,
        crossing=found.crossing(frame),
        leaking_share=float(leaking.mean()) if leaking.size else 0.0,
        random_pairs=found.pairs * chance_of_crossing(counts),
        random_leaking_share=chance_of_leaking(
            np.bincount(found.neighbours[kinds.kind]), int((~held_out).sum())
        ),
        images=total,
        placed=int((ground.number >= 0).sum()),
        tested=tested,
        duplicates=int(frame["sha256"].drop_nulls().is_duplicated().sum()),
        copies=None if copies is None else copies.height,
        compared=0 if copies is None else total if compared is None else compared,
        largest_overlap=shares.largest,
        distance_m=distance_between(ground, held_out),
        held_out=int(held_out.sum()),
    )


@dataclass(frozen=True)
class _Kinds:
    """Images of one footprint and content, counted together."""

    kind: NDArray[np.int64]
    """(images,) the kind of each image, numbered by its first image."""
    first: NDArray[np.int64]
    """(kinds,) the first image of each."""
    footprint: NDArray[np.int64]
    """(kinds,) position in `Ground.corners`, or -1."""
    content: NDArray[np.int64]
    """(kinds,) a number for each content that occurs more than once, or -1."""
    by_split: NDArray[np.int64]
    """(splits, kinds) how many images of each split it has."""
    order: NDArray[np.int64]
    """Kinds that have a footprint, ordered by it."""
    start: NDArray[np.int64]
    """(footprints + 1,) where those of each footprint start in `order`."""

    @classmethod
    def of(cls, frame: pl.DataFrame, ground: Ground, copies: pl.DataFrame | None) -> "_Kinds":
        content = frame["sha256"]
        shared = content.is_duplicated() & content.is_not_null()
        keys = pl.DataFrame(
            {
                "footprint": ground.number,
                "content": content.set(~shared, None).rank("dense").cast(pl.Int64).fill_null(0) - 1,
            }
        )
        alone = (pl.col("footprint") < 0) & (pl.col("content") < 0)
        if copies is not None:
            named = pl.concat([copies["stem"], copies["other_stem"]]).unique()
            alone |= frame["stem"].is_in(named.implode())
        keys = keys.with_columns(pl.when(alone).then(pl.int_range(pl.len())).otherwise(-1).alias("alone"))
        kind, first = number_rows(keys)
        footprint = keys["footprint"].to_numpy()[first]
        placed = np.flatnonzero(footprint >= 0)
        order = placed[np.argsort(footprint[placed], kind="stable")]
        sides = [(frame["split"] == name).to_numpy() for name in SPLITS]
        return cls(
            kind=kind,
            first=first,
            footprint=footprint,
            content=keys["content"].to_numpy()[first],
            by_split=np.array([np.bincount(kind[side], minlength=len(first)) for side in sides]),
            order=order,
            start=np.searchsorted(footprint[order], np.arange(len(ground.corners) + 1)),
        )

    def on(self, footprints: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pairs of kinds on pairs of footprints, and the pair of footprints of each."""
        counts = np.diff(self.start)[footprints]
        repeated = np.repeat(np.arange(len(footprints)), counts.prod(axis=1))
        within = np.arange(len(repeated)) - np.repeat(
            np.cumsum(counts.prod(axis=1)) - counts.prod(axis=1), counts.prod(axis=1)
        )
        one, other = footprints[repeated].T
        wide = counts[repeated, 1]
        pairs = np.stack(
            [self.order[self.start[one] + within // wide], self.order[self.start[other] + within % wide]],
            axis=1,
        )
        return pairs, footprints[repeated]

    def on_one_footprint(self) -> NDArray[np.int64]:
        """Return the pairs of different kinds that have the same footprint."""
        several = np.flatnonzero(np.diff(self.start) > 1)
        pairs, _ = self.on(np.stack([several, several], axis=1))
        return pairs[pairs[:, 0] < pairs[:, 1]]

    def of_one_content(self) -> Iterator[NDArray[np.int64]]:
        """Yield the pairs of different kinds that have the same content."""
        shared = np.flatnonzero(self.content >= 0)
        ordered = shared[np.argsort(self.content[shared], kind="stable")]
        numbers = self.content[ordered]
        ends = np.searchsorted(numbers, numbers, side="right")
        for start in range(0, len(ordered), 1024):
            at = np.arange(start, min(start + 1024, len(ordered)))
            counts = ends[at] - at - 1
            one = np.repeat(at, counts)
            offset = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
            yield np.stack([ordered[one], ordered[one + 1 + offset]], axis=1)

    def copies(self, frame: pl.DataFrame, copies: pl.DataFrame) -> NDArray[np.int64]:
        """Return the pairs of kinds of near-identical images."""
        number = frame.select("stem", kind=pl.Series(self.kind))
        joined = copies.join(number, on="stem").join(
            number, left_on="other_stem", right_on="stem", suffix="_other"
        )
        return joined.select("kind", "kind_other").to_numpy().astype(np.int64).reshape(-1, 2)

    def have_one_content(self, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        one, other = self.content[pairs.T]
        return (one >= 0) & (one == other)

    def are_near(self, ground: Ground, pairs: NDArray[np.int64], distance_m: float) -> NDArray[np.bool_]:
        footprints = self.footprint[pairs]
        near: NDArray[np.bool_] = np.all(footprints >= 0, axis=1)
        same = footprints[:, 0] == footprints[:, 1]
        near[near & ~same] = ground.are_near(footprints[near & ~same], distance_m)
        return near


class _Found:
    """What pairs of kinds add up to."""

    def __init__(self, kinds: _Kinds) -> None:
        self._kinds = kinds
        self._size = kinds.by_split.sum(axis=0)
        count = len(self._size)
        self.pairs = 0
        self.crossing_pairs = 0
        self.neighbours = np.zeros(count, np.int64)
        self.training = np.zeros(count, np.int64)
        shape = (len(SPLITS), count)
        self._partner = {reason: np.full(shape, count, np.int64) for reason in (DUPLICATE, COPY, OVERLAP)}
        """For the images of each split and kind, the first kind with which they leak."""

    def add(self, pairs: NDArray[np.int64], reason: str) -> NDArray[np.bool_]:
        """Count pairs of different kinds; returns which of them are in different splits."""
        one, other = pairs.T
        size, by_split = self._size, self._kinds.by_split
        together = size[one] * size[other]
        same = (by_split[:, one] * by_split[:, other]).sum(axis=0)
        self.pairs += int(together.sum())
        self.crossing_pairs += int((together - same).sum())
        train = by_split[SPLITS.index(TRAIN)]
        for first, second in ((one, other), (other, one)):
            np.add.at(self.neighbours, first, size[second])
            np.add.at(self.training, first, train[second])
        self.mark(pairs, reason)
        return together > same

    def mark(self, pairs: NDArray[np.int64], reason: str) -> None:
        """Note why pairs of kinds leak that are counted already."""
        one, other = pairs.T
        for first, second in ((one, other), (other, one)):
            for partner, held in zip(self._partner[reason], self._kinds.by_split, strict=True):
                crossing = self._size[second] > held[second]
                np.minimum.at(partner, first[crossing], second[crossing])

    def add_each_with_itself(self) -> bool:
        """Count the pairs of images of one kind; returns whether one with a footprint is in two splits."""
        size, by_split = self._size, self._kinds.by_split
        together = size * (size - 1) // 2
        same = (by_split * (by_split - 1) // 2).sum(axis=0)
        self.pairs += int(together.sum())
        self.crossing_pairs += int((together - same).sum())
        self.neighbours += size - 1
        crossing = together > same
        train = by_split[SPLITS.index(TRAIN)]
        self.training[crossing] += train[crossing]
        contents = self._kinds.content
        for reason, chosen in ((DUPLICATE, contents >= 0), (OVERLAP, contents < 0)):
            numbers = np.flatnonzero(crossing & chosen)
            self.mark(np.stack([numbers, numbers], axis=1), reason)
        return bool((crossing & (self._kinds.footprint >= 0)).any())

    def crossing(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a row for each image that has a pair in another split; the other is the first such one."""
        kinds, count = self._kinds, len(self._size)
        side = frame["split"].replace_strict({name: index for index, name in enumerate(SPLITS)}).to_numpy()
        reason = np.full(frame.height, "", dtype=object)
        partner = np.full(frame.height, count)
        for name in (OVERLAP, COPY, DUPLICATE):
            found = self._partner[name][side, kinds.kind]
            reason[found < count], partner[found < count] = name, found[found < count]
        leaking = np.flatnonzero(partner < count)
        first = np.full((len(SPLITS), count), frame.height, np.int64)
        np.minimum.at(first, (side, kinds.kind), np.arange(frame.height))
        others = first[:, partner[leaking]]
        others[side[leaking], np.arange(leaking.size)] = frame.height
        named = frame.select("stem", "split")
        other = named[others.min(axis=0)].rename({"stem": "other_stem", "split": "other_split"})
        return pl.concat([named[leaking], other], how="horizontal").with_columns(
            pl.Series("reason", reason[leaking], dtype=pl.String)
        )


class LargestShare:
    """The largest part of an image that pairs of footprints share."""

    def __init__(self) -> None:
        """Start without a pair."""
        self.largest = 0.0

    def look_at(self, ground: Ground, pairs: NDArray[np.int64]) -> None:
        """Compare pairs of footprints with the largest so far; few of them must be measured.

        Args:
            ground: of the footprints.
            pairs: (pairs, 2) positions in `ground.corners`.
        """
        bounds = ground.largest_shares(pairs)
        chosen = np.flatnonzero(bounds > self.largest)
        order = chosen[np.argsort(-bounds[chosen], kind="stable")]
        for start in range(0, len(order), _MEASURED):
            part = order[start : start + _MEASURED]
            if bounds[part[0]] <= self.largest + 1e-6:
                return
            self.largest = max(self.largest, float(ground.shared_shares(pairs[part]).max()))


def chance_of_crossing(counts: Sequence[int]) -> float:
    """Return the chance that two images are in different splits of a random split.

    Args:
        counts: images of each split.
    """
    of_splits = np.array(counts, np.float64)
    total = sum(counts)
    same = (of_splits * (of_splits - 1)).sum() / (total * (total - 1)) if total > 1 else 1.0
    return float(1 - same)


def chance_of_leaking(images: NDArray[np.int64], training: int) -> float:
    """Return the mean over all images of the chance that one, held out, has a neighbour in training.

    Args:
        images: how many have 0, 1, 2, ... neighbours.
        training: images that are in training.
    """
    total = int(images.sum())
    if training in (0, total):
        return 0.0
    most = min(len(images) - 1, total - training)
    drawn = np.arange(most)
    # none[d]: no one of d others drawn from the total - 1 lies in training.
    none = np.concatenate([[1.0], np.cumprod((total - 1 - training - drawn) / (total - 1 - drawn))])
    return float(1 - (images * none[np.minimum(np.arange(len(images)), most)]).sum() / total)
