"""Blocks of the ground that are held out: each gives items to one split alone, also where time decides."""

import hashlib
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.splits.balance import Classes, assign_groups
from factory_pipeline.splits.groups import METRES_PER_DEGREE, blocks
from factory_pipeline.splits.names import BORDER, OUTSIDE


def leave_out(
    places: NDArray[np.float64],
    split: pl.Series,
    percentages: Mapping[str, float],
    seed: int,
    block_m: float,
    margin_m: float,
    kept: pl.Series | None = None,
) -> pl.Series:
    """Give each block of the ground to a split, and say which items are not of the split of their block.

    Two items that are not left out, and whose splits differ, are at least twice the margin apart in latitude
    or in longitude.

    Args:
        places: (items, 2) longitude and latitude in degrees of the centres.
        split: what time, or something else, says of each item.
        percentages: of SPLITS, of the items of all splits together.
        seed: another seed gives other blocks to a split.
        block_m: side of a block in metres, more than twice the margin.
        margin_m: how far an item reaches from its centre to each side, in metres.
        kept: the split of items that were placed earlier, or null: their blocks keep it.

    Returns:
        `reason` of each item: OUTSIDE, BORDER, or null for one that is not left out.
    """
    block = blocks(places, block_m)
    different = block.unique().sort()
    number = block.replace_strict(different, pl.int_range(len(different), eager=True)).to_numpy()
    draw = np.array([_draw(seed, name) for name in different.to_list()])
    classes = Classes.of(pl.DataFrame({"split": split}))
    side = assign_groups(number.astype(np.int64), draw[number], percentages, kept, classes)
    side_of_block = dict(zip(block.to_list(), side.to_list(), strict=True))
    up = margin_m / METRES_PER_DEGREE
    across = up / np.maximum(np.cos(np.radians(places[:, 1])), 1e-3)
    reaches = np.zeros(len(places), dtype=np.bool_)
    for east in (-1, 1):
        for north in (-1, 1):
            corner = blocks(places + np.stack([east * across, np.full(len(places), north * up)], 1), block_m)
            there = corner.replace_strict(side_of_block, default=None, return_dtype=pl.String)
            reaches |= (there != side).fill_null(False).to_numpy()
    return pl.select(
        pl.when(split != side)
        .then(pl.lit(OUTSIDE))
        .when(pl.Series(reaches))
        .then(pl.lit(BORDER))
        .alias("reason")
    ).to_series()


def _draw(seed: int, block: str) -> float:
    digest = hashlib.sha256(f"{seed}\n{block}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
