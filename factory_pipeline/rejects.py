"""The reject ledger: why a footprint is not in the dataset."""

from collections.abc import Sequence

import polars as pl

REJECT_SCHEMA = {"shot_number": pl.Int64, "stage": pl.String, "reason": pl.String, "detail": pl.String}
"""Columns of the reject ledger. `reason` is a short code to count by, `detail` a sentence for a person."""


def reject_frame(
    shot_numbers: pl.Series | Sequence[int], stage: str, reason: str, detail: str | pl.Series
) -> pl.DataFrame:
    """Footprints that one stage dropped for the same reason, in REJECT_SCHEMA; `detail` may differ."""
    return pl.DataFrame({"shot_number": shot_numbers}, schema={"shot_number": pl.Int64}).with_columns(
        stage=pl.lit(stage), reason=pl.lit(reason), detail=pl.lit(detail)
    )
