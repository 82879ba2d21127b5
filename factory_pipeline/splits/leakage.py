"""Whether a split leaks: overlapping or duplicate images on different sides, and what chance would do.

Images of one ground and content are counted together, as a kind: a thousand dates of one place are half a
million pairs, but one kind.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.imagery.overlap import footprints, grounds, near_pairs
from factory_pipeline.splits.names import TRAIN


@dataclass(frozen=True)
class LeakReport:
    """What was found; `crossing` is empty where nothing leaks."""

    pairs: int
    """Pairs of images that overlap or are duplicates, whatever their splits."""
    crossing_pairs: int
    """Those on different sides."""
    crossing: pl.DataFrame
    """The images of such pairs, a row each: `stem`, `split`, one other image of them as `other_stem`,
    `other_split`, and `reason`, which is overlap or duplicate."""
    leaking_share: float
    """Part (0 to 1) of the test and validation images that overlap or duplicate a training image."""
    random_pairs: float
    """Pairs that a random split with the same counts would leave on different sides, in the mean."""
    random_leaking_share: float
    """Part (0 to 1) of the test and validation images that would then leak, in the mean."""
    images: int
    placed: int
    """Images that are georeferenced; overlap is looked for among these alone."""

    @property
    def leaks(self) -> bool:
        """True where a pair stands on different sides."""
        return self.crossing_pairs > 0


def leak_report(items: pl.DataFrame, split: pl.DataFrame, buffer_m: float = 0.0) -> LeakReport:
    """Look for every pair of images that overlap, lie within `buffer_m`, or have the same content.

    The chances are exact: with n images, of which n_s fall in split s, two images fall on different sides
    with probability 1 - sum n_s (n_s - 1) / (n (n - 1)), and a held-out image with d neighbours has none of
    them in training with the hypergeometric probability of drawing d others outside it.

    Args:
        items: `stem`, `sha256` and the columns of `overlap.footprints`.
        split: `stem`, `split`.
        buffer_m: distance in metres below which two images count as a pair; 0 for overlap alone.
    """
    ground, places = grounds(footprints(items))
    frame = (
        items.select("stem", "sha256")
        .join(split, on="stem", how="left", maintain_order="left")
        .with_columns(_kinds(items["sha256"], ground))
    )
    related = _related(frame, near_pairs(places, buffer_m))
    size = frame["kind"].value_counts().sort("kind")["count"].to_numpy().astype(np.int64)
    by_split = _by_split(frame)

    one, other = related["one"].to_numpy(), related["other"].to_numpy()
    itself = one == other
    # Each pair is met twice: from either side.
    twice = int((size[one] * (size[other] - itself)).sum())
    twice_same = int(sum((held[one] * (held[other] - itself)).sum() for held in by_split.values()))
    neighbours = np.zeros(size.size, np.int64)
    np.add.at(neighbours, one, size[other] - itself)
    training = np.zeros(size.size, np.int64)
    np.add.at(training, one, by_split.get(TRAIN, np.zeros_like(size))[other])

    kind = frame["kind"].to_numpy()
    held_out = (frame["split"] != TRAIN).to_numpy()
    counts = np.array([held.sum() for held in by_split.values()], np.float64)
    total = frame.height
    same_side = float((counts * (counts - 1)).sum() / (total * (total - 1))) if total > 1 else 1.0
    return LeakReport(
        pairs=twice // 2,
        crossing_pairs=(twice - twice_same) // 2,
        crossing=_crossing(frame, related),
        leaking_share=float((training[kind] > 0)[held_out].mean()) if held_out.any() else 0.0,
        random_pairs=twice / 2 * (1 - same_side),
        random_leaking_share=_chance(neighbours[kind], total, int((~held_out).sum())),
        images=total,
        placed=int((ground >= 0).sum()),
    )


def _kinds(sha256: pl.Series, ground: NDArray[np.int64]) -> list[pl.Series]:
    """`ground` and `content` of each image, null where no other can share them, and its `kind`, from 0."""
    known = pl.DataFrame(
        {
            "ground": pl.Series(ground, dtype=pl.Int64).replace(-1, None),
            "content": sha256.set(~sha256.is_duplicated(), None),
        }
    )
    alone = pl.col("ground").is_null() & pl.col("content").is_null()
    keys = known.with_columns(pl.when(alone).then(pl.int_range(pl.len())).alias("alone"))
    kinds = keys.unique(maintain_order=True).with_row_index("kind")
    kind = keys.join(kinds, on=keys.columns, how="left", nulls_equal=True, maintain_order="left")["kind"]
    return [known["ground"], known["content"], kind.cast(pl.Int64)]


def _related(frame: pl.DataFrame, near: NDArray[np.int64]) -> pl.DataFrame:
    """Kinds whose images are pairs: `one`, `other`, `reason`; in both directions, and a kind with itself."""
    kinds = frame.unique("kind").select("kind", "ground", "content")
    other = kinds.rename({"kind": "other"})
    one = kinds.rename({"kind": "one"})
    lying = kinds["ground"].drop_nulls().unique().to_numpy()
    grounds_of_pairs = np.concatenate([near, near[:, ::-1], np.stack([lying, lying], axis=1)])
    touching = pl.DataFrame(grounds_of_pairs, schema={"ground": pl.Int64, "other_ground": pl.Int64})
    duplicates = one.join(other, on="content").select("one", "other", reason=pl.lit("duplicate"))
    overlaps = (
        one.join(touching, on="ground")
        .join(other, left_on="other_ground", right_on="ground")
        .select("one", "other", reason=pl.lit("overlap"))
    )
    return pl.concat([duplicates, overlaps]).unique(["one", "other"], keep="first", maintain_order=True)


def _by_split(frame: pl.DataFrame) -> dict[str, NDArray[np.int64]]:
    """For each split how many images of each kind it holds."""
    kinds = frame["kind"].n_unique()
    return {
        name: np.bincount(part["kind"].to_numpy(), minlength=kinds)
        for (name,), part in frame.group_by("split", maintain_order=True)
    }


def _crossing(frame: pl.DataFrame, related: pl.DataFrame) -> pl.DataFrame:
    """A row for each image that has a pair on another side; the other is the first of the first such kind."""
    sides = frame.group_by("kind", "split", maintain_order=True).agg(pl.col("stem").first())
    partners = (
        sides.select(one="kind", split="split")
        .join(related, on="one")
        .join(sides.select(other="kind", other_split="split", other_stem="stem"), on="other")
        .filter(pl.col("split") != pl.col("other_split"))
        .sort("one", "split", "reason", "other_stem")
        .unique(["one", "split"], keep="first", maintain_order=True)
    )
    return frame.join(
        partners, left_on=["kind", "split"], right_on=["one", "split"], maintain_order="left"
    ).select("stem", "split", "other_stem", "other_split", "reason")


def _chance(degrees: np.ndarray, total: int, training: int) -> float:
    """Mean over all images of the chance that one, held out, has a neighbour in training."""
    if training in (0, total):
        return 0.0
    outside = np.arange(total - 1 - training, -1, -1) / np.arange(total - 1, training - 1, -1)
    # none[d]: no one of d others drawn from the total - 1 lies in training.
    none = np.concatenate([[1.0], np.cumprod(outside)])
    return float(1 - none[np.minimum(degrees, len(none) - 1)].mean())
