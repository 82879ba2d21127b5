"""The items of a version that are in no split, where time or a property decides which split an item is in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.datasets.request import DatasetRequest, Overlap
from factory_pipeline.errors import ArgumentError
from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.held_out_blocks import leave_out
from factory_pipeline.splits.names import NEAR, NO_SPLIT, OUTSIDE, SPLITS
from factory_pipeline.splits.too_near import find_too_near

_BLOCKS_SEED = 0


@dataclass(frozen=True)
class Neighbours:
    """Which items must not be in different splits."""

    ground: Ground
    groups: Sequence[NDArray[np.int64]]
    """(items,) each: items of one number, such as identical ones."""
    copies: NDArray[np.int64] | None
    """(pairs, 2) positions of near-identical items."""

    def too_near(self, split: pl.Series, buffer_m: float, stays: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """As `splits.too_near.find_too_near`."""
        return find_too_near(split, self.ground, buffer_m, self.groups, self.copies, stays)

    def are_apart(self, kept: pl.Series, buffer_m: float) -> bool:
        """Return whether items that are placed already are too near each other in different splits.

        Args:
            kept: the split of each item that has one, else null.
            buffer_m: as for `find_too_near`.
        """
        none_stays = np.zeros(len(kept), np.bool_)
        return bool(self.too_near(kept, buffer_m, none_stays).any())


def reasons_to_leave_out(
    said: pl.Series, kept: pl.Series, request: DatasetRequest, neighbours: Neighbours
) -> pl.Series:
    """Return why each item is in no split; null for one that is in the split that it has or that is said.

    Args:
        said: the split that time or a property names for each item, or null.
        kept: the split of each item that is placed already, or null: it stays, and others give way to it.
        request: with `split_by`.
        neighbours: what must not be in different splits; not looked at where overlap is ignored.

    Raises:
        ArgumentError: no item is left in a split.
    """
    wanted = pl.select(pl.coalesce(kept, said)).to_series()
    reason = pl.select(pl.when(wanted.is_null()).then(pl.lit(NO_SPLIT)).alias("reason")).to_series()
    if request.overlap == Overlap.GROUP:
        if request.block_m is not None:
            reason = _first(reason, _outside(wanted, kept, request, neighbours.ground))
        inside = wanted.set(reason.is_not_null(), None)
        near = neighbours.too_near(inside, request.buffer_m, kept.is_not_null().to_numpy())
        reason = _first(reason, pl.select(pl.when(pl.Series(near)).then(pl.lit(NEAR))).to_series())
    _require_items(wanted, reason, request)
    return reason


def _outside(wanted: pl.Series, kept: pl.Series, request: DatasetRequest, ground: Ground) -> pl.Series:
    """Return OUTSIDE for items whose block of the ground is of another split than theirs."""
    placed = (ground.number >= 0) & wanted.is_not_null().to_numpy()
    centres = ground.corners.mean(axis=1)[ground.number[placed]]
    assert request.block_m is not None
    found = leave_out(
        centres,
        wanted.filter(pl.Series(placed)),
        request.split_info,
        _BLOCKS_SEED,
        request.block_m,
        0.0,
        kept.filter(pl.Series(placed)),
    )
    outside = np.full(len(wanted), None, dtype=object)
    outside[placed] = found.to_list()
    return pl.Series(outside.tolist(), dtype=pl.String).set(kept.is_not_null(), None)


def _first(reason: pl.Series, other: pl.Series) -> pl.Series:
    return pl.select(pl.coalesce(reason, other).alias("reason")).to_series()


def _require_items(wanted: pl.Series, reason: pl.Series, request: DatasetRequest) -> None:
    """Check that every split that had items still has one."""
    for name in SPLITS:
        of_split = reason.filter(wanted == name)
        if len(of_split) and not of_split.null_count():
            outside = int((of_split == OUTSIDE).sum())
            near = len(of_split) - outside
            counts = {"too near to an item of another split": near, "in a block of another": outside}
            why = " and ".join(f"{count:,} are {where}" for where, count in counts.items() if count)
            raise ArgumentError(
                "split_by",
                request.split_by,
                f"no item is left in {name}: of {len(of_split):,}, {why}; smaller blocks or buffers would"
                " help, or items from other places; overlap='ignore' divides them as they are, which leaks",
            )
