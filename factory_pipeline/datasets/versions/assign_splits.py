"""Assigning the items of a version to train, test and validation, and what is known of the result.

Nothing is drawn: an item's position is its content's hash, which is as good as random, and depends neither on
when it came nor on what it is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.datasets.request import DatasetRequest, Overlap
from factory_pipeline.datasets.versions.division import Division
from factory_pipeline.datasets.versions.split_properties import LABEL
from factory_pipeline.errors import ArgumentError
from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.apportion import largest_remainder
from factory_pipeline.splits.balance import Balance, Classes, assign_groups, balance_of
from factory_pipeline.splits.connected_groups import group_numbers
from factory_pipeline.splits.groups import (
    Together,
    are_apart,
    can_fill,
    group_items,
    pairs_of_equal,
    too_few_groups,
)
from factory_pipeline.splits.near_identical import find_stored_copies
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.splits.sentences import describe_missing

WHAT = "items"
INSTEAD = (
    "overlap='group' (--overlap group, the default) keeps items that overlap in one split; an update with"
    " keep_splits=False (--divide-anew) does so for the items of its source version too."
)
"""What a user can do against a leak."""
WHAT_HELPS = (
    "More items of it from other places, fewer splits, a larger share of these splits, or labels without it"
    " would help; False makes the version nevertheless, and says so."
)


@dataclass(frozen=True)
class SplitPlan:
    """The splits of a version's items before the version is made."""

    split: pl.Series
    """`split` of each item."""
    earlier: pl.Series
    """The split that each item had in the source version, or null."""
    _items: pl.DataFrame
    _classes: Classes | None
    _request: DatasetRequest
    _promises_zero: bool
    _remark: str
    _group: NDArray[np.int64] | None
    """(items,) what overlaps or is identical, where that was looked for."""
    _copies: pl.DataFrame | None
    """Pairs of near-identical items, in leakage.COPIES_SCHEMA; None where no pixels were compared."""
    _compared: int
    """Items whose pixels were compared."""
    _ground: Ground

    def record(self) -> SplitRecord:
        """Search the split for leaks."""
        items = self._items
        return SplitRecord.of(
            items,
            items.select("stem").with_columns(self.split),
            {
                "method": "random",
                "overlap": self._request.overlap,
                "percentages": self._request.split_info,
                "keep_splits": self._request.keep_splits,
                "use_given_splits": self._request.use_given_splits,
                "balance": self._request.balance,
                "group_by": self._request.group_by,
                **self._by_place(),
                "seed": None,
            },
            promises_zero=self._promises_zero,
            percentages=self._request.split_info,
            classes=self._classes,
            copies=self._copies,
            compared=self._compared,
            what=WHAT,
            instead="" if self._remark else INSTEAD,
            remark=self._remark,
            group=self._group,
            ground=self._ground,
        )

    def _by_place(self) -> dict[str, Any]:
        """What of the rule is about places, where the request names something."""
        request = self._request
        blocks = {} if request.block_m is None else {"by": "blocks", "block_m": request.block_m}
        return blocks | ({"buffer_m": request.buffer_m} if request.buffer_m else {})

    def division(self, record: SplitRecord | None = None) -> Division:
        """Return what became of the splits."""
        return Division.of(self.split, self.earlier, self._request.split_info, record)


def plan_splits(
    items: pl.DataFrame,
    wanted: Classes | None,
    request: DatasetRequest,
    joining: Sequence[pl.Series] = (),
    thumbnails: pl.Series | None = None,
) -> SplitPlan:
    """Assign every item to a split.

    An item that has one keeps it. Items of the same content are in one split and, unless overlap is ignored,
    items that overlap or are near-identical, with every class at its share as far as that goes. The others
    fill what is missing of each percentage, to exact counts (largest remainders) as far as groups allow.
    Where items overlap so much that a split would be empty, overlap is ignored, and that is said.

    Args:
        items: `content` (a hash), `split` (that of the source version, or null), `given` (the one that it
            came with, or null), `sha256` of the pixels (or null), and the columns of `imagery.footprints`.
        wanted: what is to keep its share: labels, and properties of items.
        request: says which percentages, and what to keep together.
        joining: properties of which equal values keep items in one split.
        thumbnails: of the items as bytes, null where there is none; near-identical items are found by them.

    Raises:
        ArgumentError: a label is not in every split, and the request does not allow that; what is kept
            together by properties or places leaves fewer groups than splits; or no item has a place.
    """
    items = items.with_columns(pl.int_range(pl.len()).cast(pl.String).alias("stem"))
    earlier = items["split"]
    placed_by = {"split": request.keep_splits, "given": request.use_given_splits}
    columns = [name for name, is_used in placed_by.items() if is_used]
    kept = items.with_columns(kept=pl.coalesce(*columns, pl.lit(None, pl.String)))["kept"]
    grouped = request.overlap == Overlap.GROUP
    identical = group_numbers(items.height, [pairs_of_equal(items["content"])])
    classes, remark = None, ""
    copies, compared, ground = None, 0, Ground.of(items)
    if thumbnails is not None:
        copies = find_stored_copies(items.select("stem", thumbnails.alias("thumbnail")))
        compared = 0 if copies is None else thumbnails.count()
    if request.block_m is not None and not len(ground.corners):
        raise ArgumentError("block_m", request.block_m, "no item is georeferenced; leave it out")
    if grouped:
        together = Together(buffer_m=request.buffer_m, block_m=request.block_m)
        overlapping = _pairs(group_items(items, together, copies, ground))
        equal = [pairs_of_equal(values) for values in joining]
        group = group_numbers(items.height, [_pairs(identical), overlapping, *equal])
        classes = wanted
        filled = sum(count > 0 for count in largest_remainder(items.height, request.split_info).values())
        if kept.null_count() == items.height and not can_fill(group, identical, filled):
            for argument in ("group_by", "block_m", "buffer_m"):
                if asked := getattr(request, argument):
                    count = len(np.unique(group))
                    raise ArgumentError(
                        argument,
                        asked,
                        f"the items form {count} groups by it, and {filled} splits are to be filled",
                    )
            remark = too_few_groups(len(np.unique(group)), WHAT)
            group, classes, grouped = identical, None, False
    else:
        group = identical
    assigned = assign_groups(group, _positions(items["content"]), request.split_info, kept, classes)
    split = pl.select(pl.coalesce(kept, assigned).alias("split")).to_series()
    if request.require_all_labels:
        _require_labels(balance_of(split, group, request.split_info, wanted))
    return SplitPlan(
        split=split,
        earlier=earlier,
        _items=items,
        _classes=classes,
        _request=request,
        _remark=remark,
        _group=group if grouped else None,
        _copies=copies,
        _compared=compared,
        _ground=ground,
        _promises_zero=grouped and not are_apart(group, kept),
    )


def _require_labels(balance: Balance) -> None:
    missing = [each for each in balance.missing if each.name == LABEL]
    if missing:
        raise ArgumentError(
            "require_all_labels",
            True,
            f"{' '.join(map(describe_missing, missing))} {WHAT_HELPS}",
        )


def _pairs(group: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([np.arange(len(group)), group], axis=1)


def _positions(contents: pl.Series) -> NDArray[np.float64]:
    """Return a number from 0 to 1 for each content, a hash in hex."""
    return np.fromiter((int(content[:12], 16) / 16**12 for content in contents), np.float64, len(contents))
