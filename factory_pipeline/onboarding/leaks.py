"""Whether a split leaks: overlapping or duplicate images on different sides, and what chance would do."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from factory_pipeline.onboarding.overlap import footprints, near_pairs
from factory_pipeline.onboarding.splits import TRAIN


@dataclass(frozen=True)
class LeakReport:
    """What was found; `crossing` is empty where nothing leaks."""

    pairs: int
    """Pairs of images that overlap or are duplicates, whatever their splits."""
    crossing: pl.DataFrame
    """The pairs on different sides: `stem`, `split`, `other_stem`, `other_split`, and `reason`, which is
    overlap or duplicate."""
    leaking_share: float
    """Part (0 to 1) of the test and validation images that overlap or duplicate a training image."""
    random_pairs: float
    """Pairs that a random split with the same counts would leave on different sides, in the mean."""
    random_leaking_share: float
    """Part (0 to 1) of the test and validation images that would then leak, in the mean."""

    @property
    def leaks(self) -> bool:
        """True where a pair stands on different sides."""
        return self.crossing.height > 0


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
    frame = items.join(split, on="stem", how="left", maintain_order="left")
    near = pl.DataFrame(near_pairs(footprints(frame), buffer_m), schema=["one", "other"], orient="row")
    numbered = frame.select("sha256", pl.int_range(pl.len()).alias("one"))
    twins = (
        numbered.join(numbered.rename({"one": "other"}), on="sha256")
        .filter(pl.col("one") < pl.col("other"))
        .select("one", "other")
    )
    pairs = (
        pl.concat(
            [
                twins.with_columns(pl.lit("duplicate").alias("reason")),
                near.with_columns(pl.lit("overlap").alias("reason")),
            ],
            how="vertical_relaxed",
        )
        .unique(["one", "other"], keep="first", maintain_order=True)
        .sort("one", "other")
    )
    one, other = pairs["one"].to_numpy(), pairs["other"].to_numpy()
    sides = pairs.select(
        frame["stem"].gather(one).alias("stem"),
        frame["split"].gather(one).alias("split"),
        frame["stem"].gather(other).alias("other_stem"),
        frame["split"].gather(other).alias("other_split"),
        "reason",
    )
    trains = (frame["split"] == TRAIN).to_numpy()
    touched = np.zeros(frame.height, dtype=bool)
    touched[one[trains[other]]] = True
    touched[other[trains[one]]] = True
    held_out = ~trains
    degrees = np.bincount(np.concatenate([one, other]), minlength=frame.height)
    counts = frame["split"].value_counts()["count"].to_numpy().astype(np.float64)
    total = frame.height
    same_side = float((counts * (counts - 1)).sum() / (total * (total - 1))) if total > 1 else 1.0
    return LeakReport(
        pairs=pairs.height,
        crossing=sides.filter(pl.col("split") != pl.col("other_split")),
        leaking_share=float(touched[held_out].mean()) if held_out.any() else 0.0,
        random_pairs=pairs.height * (1 - same_side),
        random_leaking_share=_chance(degrees, total, int(trains.sum())),
    )


def _chance(degrees: np.ndarray, total: int, training: int) -> float:
    """Mean over all images of the chance that one, held out, has a neighbour in training."""
    if training in (0, total):
        return 0.0
    outside = np.arange(total - 1 - training, -1, -1) / np.arange(total - 1, training - 1, -1)
    # none[d]: no one of d others drawn from the total - 1 lies in training.
    none = np.concatenate([[1.0], np.cumprod(outside)])
    return float(1 - none[np.minimum(degrees, len(none) - 1)].mean())
