"""Footprints of which no sample can be made, whatever a recipe's rules let pass."""

import polars as pl

from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA, reject_frame

NO_BIOMASS = "no_biomass"
NO_PLACE = "no_place"
NO_TIME = "no_time"

_NEEDED: dict[str, tuple[pl.Expr, tuple[str, ...], str]] = {
    NO_PLACE: (
        pl.col("lat_lowestmode").is_between(-90, 90) & pl.col("lon_lowestmode").is_between(-180, 180),
        ("lat_lowestmode", "lon_lowestmode"),
        "a place on the Earth",
    ),
    NO_TIME: (pl.col("delta_time").is_between(0, 3e9), ("delta_time",), "a time"),
    NO_BIOMASS: (
        (pl.col("agbd") > 0)
        & pl.col("agbd").is_finite()
        & (pl.col("agbd_se") >= 0)
        & pl.col("agbd_se").is_finite(),
        ("agbd", "agbd_se"),
        "a biomass above 0 with a standard error",
    ),
}
"""By reason: when a footprint has what a sample needs, the fields that say so, and what it needs."""

REASONS = tuple(_NEEDED)


def part_unusable(footprints: pl.DataFrame, stage: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the footprints of which a sample can be made from the others.

    Args:
        footprints: has lat_lowestmode, lon_lowestmode, delta_time, agbd and agbd_se, all of which
            may hold null or NaN.
        stage: what the ledger calls the caller.

    Returns:
        The footprints that are left, and the others in REJECT_SCHEMA: each counts for the first reason.
    """
    rejects = [pl.DataFrame(schema=REJECT_SCHEMA)]
    for reason, (is_there, names, needed) in _NEEDED.items():
        # polars orders NaN above all numbers; a comparison with null is null.
        has_it = footprints.select((is_there & ~_is_nan(names)).fill_null(False).alias("has_it")).to_series()
        dropped = footprints.filter(~has_it)
        if dropped.height:
            values = [part for name in names for part in (pl.lit(f", {name} is "), _format_value(name))]
            details = pl.concat_str(pl.lit(f"A sample needs {needed}"), *values)
            rejects.append(
                reject_frame(dropped["shot_number"], stage, reason, dropped.select(details).to_series())
            )
            footprints = footprints.filter(has_it)
    return footprints, pl.concat(rejects)


def _is_nan(names: tuple[str, ...]) -> pl.Expr:
    return pl.any_horizontal(pl.col(name).is_nan() for name in names)


def _format_value(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).fill_null("missing")
