"""Drawing the footprints of a split: evenly over days or other strata, or as different as possible."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.gedi.granules import calendar_day
from factory_pipeline.builds.gedi.random_keys import random_keys
from factory_pipeline.config.recipe import BY_DAY, BY_TILE, Subset
from factory_pipeline.errors import RecipeError
from factory_pipeline.splits.groups import mgrs_squares
from factory_pipeline.splits.strata import as_strata

_PLACE = ("lon_lowestmode", "lat_lowestmode")


def sample_footprints(
    candidates: pl.DataFrame | pl.LazyFrame, subset: Subset, keep: pl.Series | Sequence[int] = ()
) -> pl.DataFrame:
    """Draw the footprints of a subset; all of them where there are not more than its size.

    Every stratum (by default a calendar day in UTC) has the same quota; what a poor one can't fill is shared
    among the others. Which footprints of a stratum are drawn depends on the seed and the shot numbers, not on
    the order of rows. A subset that covers fields has those footprints that are farthest from one another in
    the ranks of their values instead.

    Shots in `keep` are drawn first and count towards the quota of their stratum, also where a stratum then
    has more than its quota; where `keep` alone holds more than the size, only kept ones are drawn. Shots in
    `keep` that are no candidates are passed over. Of a lazy table only the columns that decide are held in
    memory.

    Args:
        candidates: `shot_number`, `delta_time` (seconds since 2018-01-01 UTC) and any other columns.
        subset: size, seed, and what decides.
        keep: shot numbers that are drawn before others.

    Returns:
        The drawn rows with all columns of the candidates, ordered by delta_time, then shot number.

    Raises:
        RecipeError: the candidates lack a field that the subset names.
    """
    known = candidates.lazy().collect_schema().names()
    _require_fields(subset, known)
    kept = pl.LazyFrame(
        {"shot_number": keep, "kept": True}, schema={"shot_number": pl.Int64, "kept": pl.Boolean}
    )
    fields = {*subset.cover, *subset.by} & {*known} - {"shot_number"}
    shots = (
        candidates.lazy()
        .select("shot_number", *sorted({"delta_time", *_PLACE, *fields} & {*known}))
        .join(kept.unique(), on="shot_number", how="left")
        .with_columns(pl.col("kept").fill_null(False))
        .collect()
    )
    size = subset.dataset_size_max
    if size is None or shots.height <= size:
        drawn = shots
    elif subset.cover:
        drawn = _draw_apart(shots, subset.cover, size, subset.seed)
    else:
        drawn = _draw_evenly(_with_stratum(shots, subset.by), size, subset.seed)
    return (
        candidates.lazy()
        .join(drawn.lazy().select("shot_number"), on="shot_number", how="semi")
        .sort("delta_time", "shot_number")
        .collect()
    )


def even_quotas(
    available: NDArray[np.int64], kept: NDArray[np.int64], size: int, order: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Return how many footprints each stratum gives: as even as what is available and kept allows.

    Water-filling: every stratum is filled to one level, but never above `available` and never below `kept`.
    What doesn't divide evenly goes, one each, to the strata that are first in `order`. `size` is between the
    sums of `kept` and `available`.

    Args:
        available: (strata,) footprints of each stratum.
        kept: (strata,) those that must be drawn.
        size: the sum of what is returned.
        order: (strata,) keys by which the rest is given out.

    Returns:
        (strata,) how many are drawn of each.
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


def farthest_points(
    points: NDArray[np.float64], size: int, order: NDArray[np.uint64], first: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Choose points one by one, each the farthest from all that are chosen (Gonzalez 1985).

    Args:
        points: (points, dimensions).
        size: how many to choose, those of `first` included.
        order: (points,) keys: the point with the least is the first, and of equally far ones the least wins.
        first: indexes of points that are chosen before.

    Returns:
        Indexes of the chosen points.
    """
    by_key = np.argsort(order, kind="stable")
    ranked = points[by_key]
    place = np.empty(len(points), np.int64)
    place[by_key] = np.arange(len(points))
    chosen = place[first].tolist() or [0]
    nearest = np.full(len(points), np.inf)
    for index in chosen:
        np.minimum(nearest, ((ranked - ranked[index]) ** 2).sum(axis=1), out=nearest)
    nearest[chosen] = -1
    while len(chosen) < size:
        index = int(np.argmax(nearest))
        chosen.append(index)
        np.minimum(nearest, ((ranked - ranked[index]) ** 2).sum(axis=1), out=nearest)
        nearest[index] = -1
    return by_key[np.array(chosen[:size])]


def _require_fields(subset: Subset, known: Sequence[str]) -> None:
    for key, fields in (("by", subset.by), ("cover", subset.cover)):
        for field in fields:
            if field not in known and not (key == "by" and field in (BY_DAY, BY_TILE)):
                words = f"{BY_DAY}, {BY_TILE}, or " if key == "by" else ""
                raise RecipeError(
                    f"subset.{key}: the footprints have no field {field}; it must be {words}one of"
                    f" {', '.join(sorted(known))}, to which footprints.extra_fields adds."
                )


def _with_stratum(shots: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Add the number of the stratum of each footprint; that of a day is its date."""
    if tuple(by) == (BY_DAY,):
        return shots.with_columns(stratum=calendar_day(pl.col("delta_time")).to_physical().cast(pl.Int64))
    texts = []
    for number, name in enumerate(by):
        if name == BY_DAY:
            values = shots.select(calendar_day(pl.col("delta_time")).cast(pl.String)).to_series()
        elif name == BY_TILE:
            values = mgrs_squares(shots.select(_PLACE).to_numpy())
        else:
            values = as_strata(shots[name])
        texts.append(values.fill_null("").alias(f"of {number}"))
    stratum = pl.DataFrame(texts).select(pl.struct(pl.all()).rank("dense").cast(pl.Int64)).to_series()
    return shots.with_columns(stratum.alias("stratum"))


def _draw_evenly(shots: pl.DataFrame, size: int, seed: int) -> pl.DataFrame:
    if shots["kept"].sum() > size:
        shots = shots.filter("kept").with_columns(kept=pl.lit(False))
    strata = shots.group_by("stratum").agg(available=pl.len(), kept=pl.col("kept").sum()).sort("stratum")
    quotas = even_quotas(
        strata["available"].cast(pl.Int64).to_numpy(),
        strata["kept"].cast(pl.Int64).to_numpy(),
        size,
        random_keys(strata["stratum"].to_numpy(), seed),
    )

    def keys(numbers: pl.Series) -> pl.Series:
        return pl.Series(random_keys(numbers.to_numpy(), seed))

    fresh = (
        shots.filter(~pl.col("kept"))
        .sort(pl.col("shot_number").map_batches(keys, return_dtype=pl.UInt64))
        .with_columns(rank=pl.int_range(pl.len()).over("stratum"))
        .join(strata.select("stratum", wanted=pl.Series(quotas) - strata["kept"]), on="stratum")
        .filter(pl.col("rank") < pl.col("wanted"))
    )
    return pl.concat([part.select("shot_number") for part in (shots.filter("kept"), fresh)])


def _draw_apart(shots: pl.DataFrame, fields: Sequence[str], size: int, seed: int) -> pl.DataFrame:
    if shots["kept"].sum() > size:
        shots = shots.filter("kept").with_columns(kept=pl.lit(False))
    # Ranks, so that neither units nor extreme values of a field decide; no value is in the middle.
    scale = max(shots.height - 1, 1)
    ranks = shots.select((pl.col(name).rank("average").fill_null(scale / 2) - 1) / scale for name in fields)
    chosen = farthest_points(
        ranks.to_numpy().astype(np.float64),
        size,
        random_keys(shots["shot_number"].to_numpy(), seed),
        np.flatnonzero(shots["kept"].to_numpy()),
    )
    return shots[chosen.tolist()]
