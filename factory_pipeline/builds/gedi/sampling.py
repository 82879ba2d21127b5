"""Drawing the footprints of a split: evenly over days or other strata, or as different as possible."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from factory_pipeline.builds.gedi.granules import calendar_day
from factory_pipeline.config.recipe import BY_DAY, BY_TILE, Subset
from factory_pipeline.errors import RecipeError
from factory_pipeline.splits.draw_subset import draw_apart, draw_evenly, ranks_of
from factory_pipeline.splits.groups import mgrs_squares
from factory_pipeline.splits.random_keys import random_keys
from factory_pipeline.splits.strata import as_strata

_PLACE = ("lon_lowestmode", "lat_lowestmode")


def draw_shots(
    candidates: pl.DataFrame | pl.LazyFrame, subset: Subset, keep: pl.Series | Sequence[int] = ()
) -> pl.Series:
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
        The shot numbers of the drawn ones, in the order of the candidates.

    Raises:
        RecipeError: the candidates lack a field that the subset names.
    """
    known = candidates.lazy().collect_schema().names()
    _require_fields(subset, known)
    shots, size = candidates.lazy().select("shot_number"), subset.dataset_size_max
    if size is None or shots.select(pl.len()).collect(engine="streaming").item() <= size:
        return shots.collect(engine="streaming").to_series()
    kept = pl.LazyFrame(
        {"shot_number": keep, "kept": True}, schema={"shot_number": pl.Int64, "kept": pl.Boolean}
    )
    places = _PLACE if BY_TILE in subset.by else ()
    fields = {*subset.cover, *subset.by, "delta_time", *places} & {*known} - {"shot_number"}
    table = (
        candidates.lazy()
        .select("shot_number", *sorted(fields))
        .join(kept.unique(), on="shot_number", how="left", maintain_order="left")
        .with_columns(pl.col("kept").fill_null(False))
        .collect()
    )
    if subset.cover:
        return _draw_apart(table, subset.cover, size, subset.seed)["shot_number"]
    return _draw_evenly(_with_stratum(table, subset.by), size, subset.seed)["shot_number"]


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
    stratum = shots["stratum"].to_numpy()
    return shots.filter(
        pl.Series(
            draw_evenly(
                stratum,
                random_keys(shots["shot_number"].to_numpy(), seed),
                shots["kept"].to_numpy(),
                size,
                random_keys(np.unique(stratum), seed),
            )
        )
    )


def _draw_apart(shots: pl.DataFrame, fields: Sequence[str], size: int, seed: int) -> pl.DataFrame:
    keys = random_keys(shots["shot_number"].to_numpy(), seed)
    return shots.filter(
        pl.Series(draw_apart(ranks_of(shots.select(fields)), keys, shots["kept"].to_numpy(), size))
    )
