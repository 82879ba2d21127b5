"""What a user must know of the splits of a dataset, in sentences: what leaks, what was not looked at."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import polars as pl

from factory_pipeline.splits.leakage import LeakReport
from factory_pipeline.splits.names import SPLITS, TEST, TRAIN, VALIDATION
from factory_pipeline.storage.atomic import write_text

NOT_COMPARED = (
    "Not checked: whether other files show the same, as copies that were encoded again, shifted, cut or"
    " scaled do."
)
TOUCHING = "Images that touch or lie close together without overlap count as apart, also tiles of one scene."
INSTEAD = {VALIDATION: (TEST, TRAIN), TEST: (VALIDATION, TRAIN)}
"""What a training takes instead of an empty split, the first with images: TerraTorch needs all three."""
_WORDS = {TRAIN: "training", TEST: "test", VALIDATION: "validation"}


@dataclass(frozen=True)
class SplitNotes:
    """What is said wherever the splits of a dataset are shown."""

    leaks: bool
    found: str
    """What the search for overlaps and copies found, in one sentence."""
    limits: tuple[str, ...]
    """What it did not look at, a sentence each."""
    reused: tuple[str, ...] = ()
    """Empty splits and what a training takes instead, a sentence each."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it."""
        return (self.found, *self.limits, *self.reused)

    def write(self, path: Path) -> None:
        """Write the notes as JSON."""
        write_text(path, json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        known = json.loads(path.read_text(encoding="utf-8"))
        return cls(known["leaks"], known["found"], tuple(known["limits"]), tuple(known["reused"]))


def split_notes(leaks: LeakReport, split: pl.DataFrame, is_trained: bool) -> SplitNotes:
    """Put the splits of a dataset into sentences.

    Args:
        leaks: what was found of them.
        split: `stem`, `split`.
        is_trained: whether the dataset has a training configuration.
    """
    return SplitNotes(leaks.leaks, _found(leaks), _limits(leaks), _reused(set(split["split"]), is_trained))


def taken_instead(filled: Collection[str]) -> dict[str, str]:
    """Return for each empty split of test and validation the one whose images a training takes instead."""
    return {
        empty: next((name for name in others if name in filled), TRAIN)
        for empty, others in INSTEAD.items()
        if empty not in filled
    }


def _found(leaks: LeakReport) -> str:
    if leaks.leaks:
        return (
            f"The split leaks: {leaks.crossing_pairs:,} of {leaks.pairs:,} pairs of overlapping or identical"
            f" images are in different splits, and {leaks.leaking_share:.1%} of the test and validation"
            " images share ground or content with a training image."
        )
    if leaks.pairs:
        return (
            "No overlapping or identical images are in different splits; a random split would separate"
            f" {leaks.random_pairs:,.0f} of {leaks.pairs:,} pairs and leak"
            f" {leaks.random_leaking_share:.1%} of the test and validation images."
        )
    if leaks.placed > 1:
        return "No two images overlap, and no two files are identical."
    return "No two files are identical."


def _limits(leaks: LeakReport) -> tuple[str, ...]:
    unplaced = leaks.images - leaks.placed
    limits = []
    if unplaced and not leaks.placed:
        limits.append("Not checked: overlap, for no image is georeferenced.")
    elif unplaced:
        limits.append(
            f"Not checked: overlap of {unplaced:,} of {leaks.images:,} images, which are not georeferenced."
        )
    if leaks.placed > 1:
        limits.append(TOUCHING)
    return (*limits, NOT_COMPARED)


def _reused(filled: Collection[str], is_trained: bool) -> tuple[str, ...]:
    if not is_trained:
        return tuple(f"The {_WORDS[name]} split is empty." for name in SPLITS if name not in filled)
    return tuple(
        f"The {_WORDS[empty]} split is empty: terratorch.yaml takes the {_WORDS[other]} images instead, so"
        f" that the {_WORDS[empty]} scores of a training are not independent."
        for empty, other in taken_instead(filled).items()
    )
