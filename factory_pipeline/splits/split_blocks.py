"""The blocks of the ground of a split by blocks: where they are and which split each is of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.splits.groups import block_bounds


def side_of_blocks(rule: Mapping[str, Any]) -> float | None:
    """Return the side in metres of the blocks that a rule divides; None where it divides none.

    Args:
        rule: of a `splits.json`.
    """
    by_blocks = rule.get("by") in ("block", "blocks") or rule.get("space") == "blocks" or rule.get("blocks")
    return float(rule["block_m"]) if by_blocks else None


def split_blocks(corners: NDArray[np.float64], split: pl.Series, block_m: float) -> pl.DataFrame:
    """Return the blocks that have the centre of an item.

    Args:
        corners: (items, 4, 2) longitudes and latitudes in degrees; NaN where an item is not georeferenced.
        split: of each item, null for one that is left out.
        block_m: side of a block in metres.

    Returns:
        `west`, `south`, `east`, `north` in degrees and `split`, a row per block, ordered by its place.
    """
    edges = ("west", "south", "east", "north")
    placed = np.isfinite(corners[:, 0, 0]) & split.is_not_null().to_numpy()
    bounds = block_bounds(corners[placed].mean(axis=1), block_m).round(9)
    return (
        pl.DataFrame(bounds, schema=dict.fromkeys(edges, pl.Float64))
        .with_columns(split.filter(pl.Series(placed)).alias("split"))
        .unique(edges, keep="first", maintain_order=True)
        .sort(edges)
    )
