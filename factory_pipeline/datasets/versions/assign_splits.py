"""Assigning the items of a version to train, test and validation, and what is known of the result.

Nothing is drawn: an item's position is its content's hash, which is as good as random, and depends neither on
when it came nor on what it is called. Where time or a property decides, an item that is too near to one of
another split is in none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.datasets.request import DatasetRequest, Overlap
from factory_pipeline.datasets.versions.division import Division
from factory_pipeline.datasets.versions.items_left_out import Neighbours, reasons_to_leave_out
from factory_pipeline.datasets.versions.split_properties import LABEL
from factory_pipeline.errors import ArgumentError
from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.plain_text import count_noun
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
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.near_identical import find_stored_copies
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.splits.sentences import describe_missing

WHAT = "items"
INSTEAD = (
    "overlap='group' (--overlap group, the default) keeps items that overlap in one split; an update with"
    " keep_splits=False (--divide-anew) does so for the items of its source version too."
)
"""What a user can do against a leak."""
INSTEAD_OF_RULE = (
    "overlap='group' (--overlap group, the default) leaves out the items that are too near to one of another"
    " split, and block_m (--block-m) takes each split from blocks of the ground of its own."
)
"""The same where time or a property decides the splits."""
WHAT_HELPS = (
    "More items of it from other places, fewer splits, a larger share of these splits, or labels without it"
    " would help; False makes the version nevertheless, and says so."
)


@dataclass(frozen=True)
class SplitPlan:
    """The splits of a version's items before the version is made."""

    split: pl.Series
    """`split` of each item; null for one that is in none."""
    reason: pl.Series
    """Why an item is in no split, as `items_left_out` says it; null for the others."""
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

    def record(self, left_out: Mapping[str, Mapping[str, Sequence[str]]] | None = None) -> SplitRecord:
        """Search the split for leaks.

        Args:
            left_out: the ids of the items in no split, by reason and by the name of their collection.
        """
        items = self._items
        return SplitRecord.of(
            items,
            items.select("stem").with_columns(self.split),
            {
                "method": "random",
                **self._by_rule(),
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
            together=Together(buffer_m=self._request.buffer_m),
            percentages=self._request.split_info if self._request.split_by is None else None,
            classes=self._classes,
            copies=self._copies,
            compared=self._compared,
            what=WHAT,
            instead="" if self._remark else INSTEAD if self._request.split_by is None else INSTEAD_OF_RULE,
            remark=self._remark,
            group=self._group,
            ground=self._ground,
            left_out_items=left_out or {},
        )

    def _by_rule(self) -> dict[str, Any]:
        """What of the rule is about time or a property, where one decides."""
        said = self._request.split_by
        return {} if said is None else {"method": said["by"], **{k: v for k, v in said.items() if k != "by"}}

    def _by_place(self) -> dict[str, Any]:
        """What of the rule is about places, where the request names something."""
        request = self._request
        key = "by" if request.split_by is None else "space"
        blocks = {} if request.block_m is None else {key: "blocks", "block_m": request.block_m}
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
    said: pl.Series | None = None,
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
        said: the split that time or a property names for each item, or null, where the request has such a
            rule.

    Raises:
        ArgumentError: a label is not in every split, and the request does not allow that; what is kept
            together by properties or places leaves fewer groups than splits; no item has a place; or none is
            left in a split that time or a property names.
    """
    items = items.with_columns(pl.int_range(pl.len()).cast(pl.String).alias("stem"))
    earlier = items["split"]
    placed_by = {"split": request.keep_splits, "given": request.use_given_splits}
    columns = [name for name, is_used in placed_by.items() if is_used]
    kept = items.with_columns(kept=pl.coalesce(*columns, pl.lit(None, pl.String)))["kept"]
    copies, compared, ground = None, 0, Ground.of(items)
    if thumbnails is not None:
        copies = find_stored_copies(items.select("stem", thumbnails.alias("thumbnail")), ground)
        compared = 0 if copies is None else thumbnails.count()
    if request.block_m is not None and not len(ground.corners):
        raise ArgumentError("block_m", request.block_m, "no item is georeferenced; leave it out")
    plan = SplitPlan(
        split=kept,
        reason=pl.Series("reason", [None] * items.height, dtype=pl.String),
        earlier=earlier,
        _items=items,
        _classes=None,
        _request=request,
        _promises_zero=False,
        _remark="",
        _group=None,
        _copies=copies,
        _compared=compared,
        _ground=ground,
    )
    if said is None:
        return _divide(plan, kept, joining, wanted)
    return _divide_as_said(plan, kept, joining, wanted, said)


def _divide(
    plan: SplitPlan, kept: pl.Series, joining: Sequence[pl.Series], wanted: Classes | None
) -> SplitPlan:
    """By percentages."""
    request, classes, remark = plan._request, None, ""
    grouped = request.overlap == Overlap.GROUP
    identical = group_numbers(len(kept), [pairs_of_equal(plan._items["content"])])
    group = identical
    if grouped:
        group, classes = _join_groups(plan, identical, joining), wanted
        remark = _too_few_groups(group, identical, kept, request)
        if remark:
            group, classes, grouped = identical, None, False
    draw = _positions(plan._items["content"])
    assigned = assign_groups(group, draw, request.split_info, kept, classes)
    split = pl.select(pl.coalesce(kept, assigned).alias("split")).to_series()
    if request.require_all_labels:
        _require_labels(balance_of(split, group, request.split_info, wanted))
    return replace(
        plan,
        split=split,
        _classes=classes,
        _remark=remark,
        _group=group if grouped else None,
        _promises_zero=grouped and not are_apart(group, kept),
    )


def _divide_as_said(
    plan: SplitPlan,
    kept: pl.Series,
    joining: Sequence[pl.Series],
    wanted: Classes | None,
    said: pl.Series,
) -> SplitPlan:
    """By time or a property."""
    request, copies = plan._request, plan._copies
    alike = [plan._items["content"], *joining]
    neighbours = Neighbours(
        plan._ground,
        [group_numbers(len(kept), [pairs_of_equal(values)]) for values in alike],
        None if copies is None else copies.select(pl.col("stem", "other_stem").cast(pl.Int64)).to_numpy(),
    )
    reason = reasons_to_leave_out(said, kept, request, neighbours)
    split = pl.select(pl.coalesce(kept, said).alias("split")).to_series().set(reason.is_not_null(), None)
    if request.require_all_labels:
        group = _join_groups(plan, neighbours.groups[0], joining)
        shares = {name: 1.0 for name in SPLITS if (split == name).any()}
        _require_labels(balance_of(split, group, shares, wanted))
    promises_zero = request.overlap == Overlap.GROUP and not neighbours.are_apart(kept, request.buffer_m)
    return replace(plan, split=split, reason=reason, _promises_zero=promises_zero)


def _join_groups(
    plan: SplitPlan, identical: NDArray[np.int64], joining: Sequence[pl.Series]
) -> NDArray[np.int64]:
    """Return the group of each item: what overlaps, shows the same, or has an equal property."""
    request = plan._request
    together = Together(buffer_m=request.buffer_m, block_m=request.block_m)
    overlapping = _pairs(group_items(plan._items, together, plan._copies, plan._ground))
    equal = [pairs_of_equal(values) for values in joining]
    return group_numbers(len(identical), [_pairs(identical), overlapping, *equal])


def _too_few_groups(
    group: NDArray[np.int64], identical: NDArray[np.int64], kept: pl.Series, request: DatasetRequest
) -> str:
    """Return what is said where groups can't fill the splits, so that overlap is ignored; else an empty text.

    Raises:
        ArgumentError: the request joins items by more than overlap.
    """
    count = len(np.unique(group))
    filled = sum(share > 0 for share in largest_remainder(len(group), request.split_info).values())
    if kept.null_count() < len(kept) or can_fill(group, identical, filled):
        return ""
    for argument in ("group_by", "block_m", "buffer_m"):
        if asked := getattr(request, argument):
            allowed = (
                f"the items form {count_noun(count, 'group')} by it, and {filled} splits are to be filled"
            )
            raise ArgumentError(argument, asked, allowed)
    return too_few_groups(count, WHAT)


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
