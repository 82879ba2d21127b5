"""What became of the splits of a version's items; read also where only datasets are read, without extras."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from factory_pipeline.splits.names import SPLITS

if TYPE_CHECKING:
    import polars as pl

    from factory_pipeline.splits.record import SplitRecord


@dataclass(frozen=True)
class Division:
    """What became of the splits of a version's items."""

    splits: Mapping[str, int]
    """Items by split."""
    asked: Mapping[str, float]
    """The percentages that were asked for; empty where none were."""
    had_split: int
    """Items that were in the source version."""
    kept_split: int
    """Those of them that are in the split that they had."""
    leaking_share: float = 0.0
    """Fraction (0 to 1) of the test and validation items that overlap or duplicate a training item."""
    notes: tuple[str, ...] = ()
    """What to know of the split, a sentence each; the first says whether it leaks."""
    left_out: int = 0
    """Items that match and are in no split; `splits.json` names them."""

    @classmethod
    def of(
        cls,
        split: "pl.Series",
        earlier: "pl.Series",
        asked: Mapping[str, float],
        record: "SplitRecord | None" = None,
    ) -> Self:
        """Compare the splits of items with those that they had.

        Args:
            split: of each item.
            earlier: of each item in the version before; null for new ones.
            asked: percentage by split; empty if none were requested.
            record: how the splits were assigned; None if they were not.
        """
        counts = dict(split.value_counts().iter_rows())
        return cls(
            splits={name: counts.get(name, 0) for name in SPLITS},
            asked=dict(asked),
            had_split=len(earlier) - earlier.null_count(),
            kept_split=int((split == earlier).sum()),
            leaking_share=0.0 if record is None else record.leaks.leaking_share,
            notes=() if record is None else record.sentences,
            left_out=split.null_count(),
        )

    def as_json(self) -> dict[str, Any]:
        """As JSON values; `Division(**values)` is the same."""
        return {
            "splits": dict(self.splits),
            "asked": dict(self.asked),
            "had_split": self.had_split,
            "kept_split": self.kept_split,
            "leaking_share": self.leaking_share,
            "notes": list(self.notes),
            "left_out": self.left_out,
        }

    def __str__(self) -> str:
        total = sum(self.splits.values())
        shares = " / ".join(f"{100 * self.splits[split] / max(total, 1):.3g}" for split in SPLITS)
        asked = " / ".join(f"{self.asked.get(split, 0.0):.3g}" for split in SPLITS)
        said = f"{' / '.join(SPLITS)} is {shares} %"
        if self.asked:
            said += f", asked for {asked} %"
        if not self.had_split:
            return said
        return (
            f"{self.kept_split:,} of {self.had_split:,} items of the source version kept their split; {said}"
        )
