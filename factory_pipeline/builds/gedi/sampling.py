"""Drawing the footprints of a split evenly over its days."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.gedi.granules import calendar_day
from factory_pipeline.builds.gedi.random_keys import random_keys


def sample_footprints(
    candidates: pl.DataFrame | pl.LazyFrame,
    size: int | None,
    seed: int,
    keep: pl.Series | Sequence[int] = (),
) -> pl.DataFrame:
    """Draw `size` of the candidates (all where there are fewer, or with None), evenly over calendar days.

    Every day (UTC) has the same quota; what a poor day can't fill is shared among the others. Which
    footprints of a day are drawn depends on the seed and the shot numbers, not on the order of rows.
    Shots in `keep` are drawn first and count towards the quota of their day, also where a day then has
    more than its quota; where `keep` alone holds more than `size`, only kept ones are drawn. Shots in
    `keep` that are no candidates are passed over. Of a lazy table only two columns are held in memory.

    Returns:
        The drawn rows with all columns of the candidates, ordered by delta_time, then shot number.
    """
    kept = pl.LazyFrame(
        {"shot_number": keep, "kept": True}, schema={"shot_number": pl.Int64, "kept": pl.Boolean}
    )
    shots = (
        candidates.lazy()
        .select("shot_number", day=calendar_day(pl.col("delta_time")))
        .join(kept.unique(), on="shot_number", how="left")
        .with_columns(pl.col("kept").fill_null(False))
        .collect()
    )
    drawn = shots if size is None or shots.height <= size else _draw(shots, size, seed)
    return (
        candidates.lazy()
        .join(drawn.lazy().select("shot_number"), on="shot_number", how="semi")
        .sort("delta_time", "shot_number")
        .collect()
    )


def day_quotas(
    available: NDArray[np.int64], kept: NDArray[np.int64], size: int, order: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """How many footprints each day gives: as even as what is available and kept allows, `size` in all.

    Water-filling: every day is filled to one level, but never above `available` and never below `kept`.
    What doesn't divide evenly goes, one each, to the days that are first in `order`. `size` lies
    between the sums of `kept` and `available`.
    """
    low, high = 0, int(available.max(initial=0))
    while low < high:
        level = (low + high + 1) // 2
        if np.clip(level, kept, available).sum() <= size:
            low = level
        else:
            high = level - 1
    quotas = np.clip(low, kept, available)
    takers = np.flatnonzero((quotas == low) & (available > low))
    takers = takers[np.argsort(order[takers])]
    quotas[takers[: size - int(quotas.sum())]] += 1
    return quotas


def _draw(shots: pl.DataFrame, size: int, seed: int) -> pl.DataFrame:
    if shots["kept"].sum() > size:
        shots = shots.filter("kept").with_columns(kept=pl.lit(False))
    days = shots.group_by("day").agg(available=pl.len(), kept=pl.col("kept").sum()).sort("day")
    quotas = day_quotas(
        days["available"].cast(pl.Int64).to_numpy(),
        days["kept"].cast(pl.Int64).to_numpy(),
        size,
        random_keys(days["day"].to_physical().cast(pl.Int64).to_numpy(), seed),
    )

    def keys(numbers: pl.Series) -> pl.Series:
        return pl.Series(random_keys(numbers.to_numpy(), seed))

    fresh = (
        shots.filter(~pl.col("kept"))
        .sort(pl.col("shot_number").map_batches(keys, return_dtype=pl.UInt64))
        .with_columns(rank=pl.int_range(pl.len()).over("day"))
        .join(days.select("day", wanted=pl.Series(quotas) - days["kept"]), on="day")
        .filter(pl.col("rank") < pl.col("wanted"))
    )
    return pl.concat([part.select("shot_number") for part in (shots.filter("kept"), fresh)])
