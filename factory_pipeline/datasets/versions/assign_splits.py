"""Dividing the items of a version into train, test and validation.

Nothing is drawn: the items go in the order of their content's hash, which is as good as random, and depends
neither on when they came nor on what they are called.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import polars as pl

from factory_pipeline.splits.apportion import largest_remainder
from factory_pipeline.splits.names import SPLITS


@dataclass(frozen=True)
class Division:
    """What became of the splits of a version's items."""

    splits: Mapping[str, int]
    """Items by split."""
    asked: Mapping[str, float]
    """The percentages that were asked for."""
    had_split: int
    """Items that were in the source version."""
    kept_split: int
    """Those of them that are in the split that they had."""

    @classmethod
    def of(cls, split: pl.Series, earlier: pl.Series, asked: Mapping[str, float]) -> Self:
        """Compare the splits of items with those that they had, null for items that are new."""
        counts = dict(split.value_counts().iter_rows())
        return cls(
            splits={name: counts.get(name, 0) for name in SPLITS},
            asked=dict(asked),
            had_split=len(earlier) - earlier.null_count(),
            kept_split=int((split == earlier).sum()),
        )

    def as_json(self) -> dict[str, Any]:
        """As JSON values; `Division(**values)` is the same."""
        return {
            "splits": dict(self.splits),
            "asked": dict(self.asked),
            "had_split": self.had_split,
            "kept_split": self.kept_split,
        }

    def __str__(self) -> str:
        total = sum(self.splits.values())
        shares = " / ".join(f"{100 * self.splits[split] / max(total, 1):.3g}" for split in SPLITS)
        asked = " / ".join(f"{self.asked[split]:.3g}" for split in SPLITS)
        said = f"{' / '.join(SPLITS)} is {shares} %, asked for {asked} %"
        if not self.had_split:
            return said
        return (
            f"{self.kept_split:,} of {self.had_split:,} items of the source version kept their split; {said}"
        )


def assign_splits(items: pl.DataFrame, split_info: Mapping[str, float]) -> pl.Series:
    """Give every item a split.

    An item that has one keeps it. Items of the same content stand on one side. The others fill what is
    missing of each percentage, to exact counts (largest remainders) but for contents that occur more often
    than there is room.

    Args:
        items: `content`, a hash; `kept`, the split that an item has already, or null.
        split_info: percentages of SPLITS that sum to 100.

    Returns:
        `split`, in the order of `items`.
    """
    frame = items.select("content", "kept").with_row_index("place")
    votes = (
        frame.drop_nulls("kept")
        .group_by("content", "kept")
        .len()
        .sort(pl.col("len"), pl.col("kept").replace_strict(_TURN), descending=[True, False])
        .unique("content", keep="first")
        .select("content", joined="kept")
    )
    frame = frame.join(votes, on="content", how="left").with_columns(split=pl.coalesce("kept", "joined"))
    counts = dict(frame.drop_nulls("split").group_by("split").len().iter_rows())
    wanted = largest_remainder(frame.height, {split: split_info[split] for split in SPLITS})
    room = {split: wanted[split] - counts.get(split, 0) for split in SPLITS}
    new = frame.filter(pl.col("split").is_null()).group_by("content").agg(size=pl.len())
    filled = _fill(new, room)
    divided = frame.join(filled, on="content", how="left").sort("place")
    return divided.select(pl.coalesce("split", "filled").alias("split")).to_series()


def _fill(groups: pl.DataFrame, room: Mapping[str, int]) -> pl.DataFrame:
    """Fill the room of each split with groups of items: `content`, `filled`.

    Larger groups go first, each to where most room is; then single items come out even.
    """
    left = {split: max(room[split], 0) for split in SPLITS}
    several = groups.filter(pl.col("size") > 1).sort("size", "content", descending=[True, False])
    filled = []
    left = largest_remainder(int(groups["size"].sum()), left)
    for content, size in several.iter_rows():
        split = max(SPLITS, key=lambda split: left[split])
        left[split] -= size
        filled.append((content, split))
    singles = groups.filter(pl.col("size") == 1)["content"].sort()
    left = largest_remainder(len(singles), {split: max(count, 0) for split, count in left.items()})
    named = pl.Series("filled", [split for split in SPLITS for _ in range(left[split])], dtype=pl.String)
    return pl.concat(
        [
            pl.DataFrame(filled, schema={"content": pl.String, "filled": pl.String}, orient="row"),
            pl.DataFrame({"content": singles, "filled": named}),
        ]
    )


_TURN = {split: turn for turn, split in enumerate(SPLITS)}
