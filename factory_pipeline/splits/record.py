"""The record of a split, `splits.json`: its rule, what was searched for leaks, and what was found."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.balance import Balance, Classes, balance_of, balance_of_counts
from factory_pipeline.splits.groups import OVERLAPPING, Together, group_items
from factory_pipeline.splits.leakage import LeakReport, leak_report
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.sentences import (
    describe_balance,
    describe_leaks,
    describe_left_out,
    describe_limits,
)
from factory_pipeline.splits.window_leaks import WindowLeaks
from factory_pipeline.storage.atomic import write_text


@dataclass(frozen=True)
class SplitRecord:
    """What `splits.json` has of a split."""

    rule: Mapping[str, Any]
    """How the split was made: method, percentages, seed and what else decides."""
    promises_zero: bool
    """Whether the rule promises that nothing leaks; a check then refuses a split that does."""
    splits: Mapping[str, int]
    """Items by split."""
    left_out: int
    """Items in no split, because they would leak."""
    groups: int
    """Sets of items that overlap or show the same, each in one split under a rule that promises zero."""
    largest_group: int
    """Items of the largest of them."""
    leaks: LeakReport
    balance: Balance | None
    """None where no percentages were asked for."""
    what: str
    """What an item is called: images, windows or items."""
    instead: str
    """What a user can do against a leak, in one sentence."""
    remark: str = ""
    """What else is to be said, in one sentence."""
    left_out_items: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """The ids of the items in no split by reason, and by the name of their collection; empty where a ledger
    has them."""

    @property
    def breaks_promise(self) -> bool:
        """Whether the split leaks though its rule promises that it does not."""
        return self.promises_zero and self.leaks.leaks

    @property
    def found(self) -> str:
        """What the search for leaks has found; where it leaks, also what would not."""
        found = describe_leaks(self.leaks, self.what)
        return f"{found} {self.instead}" if self.leaks.leaks and self.instead else found

    @property
    def sentences(self) -> tuple[str, ...]:
        """All that a user must know of the split."""
        counts = {reason: sum(map(len, ids.values())) for reason, ids in self.left_out_items.items()}
        left_out = describe_left_out(self.left_out, counts, self.what)
        balance = describe_balance(self.balance, self.what) if self.balance is not None else ()
        remark = (self.remark,) if self.remark else ()
        return (
            self.found,
            *remark,
            *left_out,
            *balance,
            *describe_limits(self.leaks, self.what),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON values; the keys are documented in docs/splits.md."""
        leaks = self.leaks
        return {
            "rule": dict(self.rule),
            "promises_zero": self.promises_zero,
            "what": self.what,
            "splits": dict(self.splits),
            "left_out": self.left_out,
            "left_out_items": {
                reason: {name: list(ids) for name, ids in of_reason.items()}
                for reason, of_reason in self.left_out_items.items()
            },
            "groups": self.groups,
            "largest_group": self.largest_group,
            "georeferenced": leaks.placed,
            "pairs_tested": leaks.tested,
            "pairs": leaks.pairs,
            "crossing_pairs": leaks.crossing_pairs,
            "duplicates": leaks.duplicates,
            "copies": leaks.copies,
            "compared": leaks.compared,
            "largest_overlap": round(leaks.largest_overlap, 6),
            "distance_m": None if leaks.distance_m is None else round(leaks.distance_m, 3),
            "leaking": {
                "items": leaks.leaking,
                "of": leaks.held_out,
                "share": round(leaks.leaking_share, 6),
                "share_at_random": round(leaks.random_leaking_share, 6),
            },
            "balance": None if self.balance is None else asdict(self.balance),
            "sentences": list(self.sentences),
        }

    def write(self, path: Path) -> None:
        """Write `splits.json`."""
        write_text(path, json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def of_windows(
        cls,
        found: WindowLeaks,
        rule: Mapping[str, Any],
        *,
        promises_zero: bool,
        percentages: Mapping[str, float] | None = None,
        what: str = "windows",
        instead: str = "",
    ) -> Self:
        """Describe the split of the windows of a build.

        Args:
            found: what the search for leaks has found.
            rule: as JSON values.
            promises_zero: as the field.
            percentages: those that were asked for.
            what: as the field.
            instead: as the field.
        """
        return cls(
            rule=rule,
            promises_zero=promises_zero,
            splits=found.splits,
            left_out=0,
            groups=found.groups,
            largest_group=found.largest_group,
            leaks=found.leaks,
            balance=None if percentages is None else balance_of_counts(found.splits, percentages),
            what=what,
            instead=instead,
        )

    @classmethod
    def of(
        cls,
        items: pl.DataFrame,
        split: pl.DataFrame,
        rule: Mapping[str, Any],
        *,
        promises_zero: bool,
        together: Together = OVERLAPPING,
        percentages: Mapping[str, float] | None = None,
        classes: Classes | None = None,
        copies: pl.DataFrame | None = None,
        compared: int | None = None,
        what: str = "images",
        instead: str = "",
        remark: str = "",
        group: NDArray[np.int64] | None = None,
        ground: Ground | None = None,
        left_out_items: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    ) -> Self:
        """Search a split for leaks and describe it.

        Args:
            items: as for `leak_report` and `group_items`.
            split: `stem`, `split`; null for an item that is left out.
            rule: as JSON values.
            promises_zero: as the field.
            together: what counts as a group; its `buffer_m` is that of the search for leaks too.
            percentages: those that were asked for.
            classes: what was to keep its share.
            copies: pairs of near-identical items, in leakage.COPIES_SCHEMA.
            compared: as for `leak_report`.
            what: as the field.
            instead: as the field.
            remark: as the field.
            group: (items,) what `group_items` returned for `together`, if it is known.
            ground: where the items are, if that is known.
            left_out_items: as the field.
        """
        sides = items.select("stem").join(split, on="stem", how="left", maintain_order="left")["split"]
        ground = Ground.of(items) if ground is None else ground
        if group is None:
            group = group_items(items, together, copies, ground)
        sizes = np.bincount(group) if len(group) else np.zeros(1, np.int64)
        return cls(
            rule=rule,
            promises_zero=promises_zero,
            splits={name: int((sides == name).sum()) for name in SPLITS},
            left_out=sides.null_count(),
            groups=int((sizes > 0).sum()),
            largest_group=int(sizes.max()),
            leaks=leak_report(items, split, together.buffer_m, copies, compared, ground),
            balance=None if percentages is None else balance_of(sides, group, percentages, classes),
            what=what,
            instead=instead,
            remark=remark,
            left_out_items=left_out_items or {},
        )
