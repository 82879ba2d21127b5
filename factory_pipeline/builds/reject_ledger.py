"""The reject ledger: why a footprint is not in the dataset, and whose fault that is."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import polars as pl

REJECT_SCHEMA = {"shot_number": pl.Int64, "stage": pl.String, "reason": pl.String, "detail": pl.String}
"""Columns of the reject ledger. `reason` is a short code to count by, `detail` a sentence for a person."""


def reject_frame(
    shot_numbers: pl.Series | Sequence[int], stage: str, reason: str, detail: str | pl.Series
) -> pl.DataFrame:
    """Return footprints that one stage dropped for the same reason, in REJECT_SCHEMA; `detail` may differ.

    Args:
        shot_numbers: of the footprints.
        stage: that dropped them.
        reason: one of those below.
        detail: for people; one for all, or one for each.
    """
    return pl.DataFrame({"shot_number": shot_numbers}, schema={"shot_number": pl.Int64}).with_columns(
        stage=pl.lit(stage), reason=pl.lit(reason), detail=pl.lit(detail)
    )


class Cause(StrEnum):
    """Whose fault it is that a footprint is not in the dataset."""

    FOOTPRINT = "the footprints themselves"
    """Its quality, its place, its time, the weather: another run would drop it again, and rightly."""
    CATALOG = "the catalog"
    """The catalog has items for it that can't be used."""
    ARCHIVE = "the archive"
    """Its rasters are there by name but can't be read."""
    CHECK = "checks of the samples"
    """Its sample was made and did not hold what every sample must."""


EXTRACTION_REASONS: Mapping[str, Cause] = {
    "no_product": Cause.FOOTPRINT,
    "scl_center": Cause.FOOTPRINT,
    "cloud": Cause.FOOTPRINT,
    "shadow": Cause.FOOTPRINT,
    "snow": Cause.FOOTPRINT,
    "water": Cause.FOOTPRINT,
    "invalid": Cause.FOOTPRINT,
    "no_dem": Cause.FOOTPRINT,
    "slope": Cause.FOOTPRINT,
    "no_worldcover": Cause.FOOTPRINT,
    "item_unusable": Cause.CATALOG,
    "band_at_floor": Cause.CATALOG,
    "asset_unreadable": Cause.ARCHIVE,
    "footprint_in_window": Cause.CHECK,
    "scene_classes": Cause.CHECK,
    "land_cover": Cause.CHECK,
    "terrain": Cause.CHECK,
    "biomass": Cause.CHECK,
    "label_raster": Cause.CHECK,
}
"""Every reason for which extraction drops a footprint, with its cause. Here alone it is decided what is the
footprint's own fault: a stage with a reason of its own adds it here, or its rejects are refused."""


def cause_of(stage: str, reason: str) -> Cause:
    """Return whose fault a reject is; what is dropped before extraction fails the recipe's own rules.

    Args:
        stage: that dropped a footprint.
        reason: as in the ledger.

    Raises:
        KeyError: extraction gives a reason that has no cause.
    """
    return Cause.FOOTPRINT if stage in ("quality", "split", "subset") else EXTRACTION_REASONS[reason]


def lost_by_no_fault(rejects: pl.DataFrame) -> pl.DataFrame:
    """Return the rejects of REJECT_SCHEMA that are not the footprints' own fault, with a column `cause`."""
    causes = [cause_of(stage, reason) for stage, reason in rejects.select("stage", "reason").iter_rows()]
    return rejects.with_columns(cause=pl.Series(causes, dtype=pl.String)).filter(
        pl.col("cause") != Cause.FOOTPRINT
    )
