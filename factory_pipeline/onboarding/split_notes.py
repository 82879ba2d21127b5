"""Notes for the user on the splits of a dataset: what leaks, and what was not checked."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from factory_pipeline.splits.names import SPLITS, TEST, TRAIN, VALIDATION
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.storage.atomic import write_text

INSTEAD = {VALIDATION: (TEST, TRAIN), TEST: (VALIDATION, TRAIN)}
"""What a training uses instead of an empty split, the first with images: TerraTorch needs all three."""
_WORDS = {TRAIN: "training", TEST: "test", VALIDATION: "validation"}


@dataclass(frozen=True)
class SplitNotes:
    """The notes that are shown with the splits of a dataset."""

    leaks: bool
    found: str
    """The result of the search for overlaps and copies, in one sentence."""
    limits: tuple[str, ...]
    """What was not checked, a sentence each."""
    reused: tuple[str, ...] = ()
    """Empty splits and what a training uses instead, a sentence each."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """All notes."""
        return (self.found, *self.limits, *self.reused)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Return what a `splits.json` says.

        Args:
            record: as JSON values.
        """
        found, *others = record["sentences"]
        return cls(bool(record["crossing_pairs"]), found, tuple(others))

    def write(self, path: Path) -> None:
        """Write the notes as JSON."""
        write_text(path, json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        known = json.loads(path.read_text(encoding="utf-8"))
        return cls(known["leaks"], known["found"], tuple(known["limits"]), tuple(known["reused"]))


def split_notes(record: SplitRecord, split: pl.DataFrame, is_trained: bool) -> SplitNotes:
    """Put the splits of a dataset into sentences.

    Args:
        record: of the split.
        split: `stem`, `split`.
        is_trained: whether the dataset has a training configuration.
    """
    found, *others = record.sentences
    return SplitNotes(record.leaks.leaks, found, tuple(others), _note_reused(set(split["split"]), is_trained))


def replacement_splits(filled: Collection[str]) -> dict[str, str]:
    """Return for each empty split of test and validation the one whose images a training uses instead."""
    return {
        empty: next((name for name in others if name in filled), TRAIN)
        for empty, others in INSTEAD.items()
        if empty not in filled
    }


def _note_reused(filled: Collection[str], is_trained: bool) -> tuple[str, ...]:
    if not is_trained:
        return tuple(f"The {_WORDS[name]} split is empty." for name in SPLITS if name not in filled)
    return tuple(
        f"The {_WORDS[empty]} split is empty: terratorch.yaml uses the {_WORDS[other]} images instead, so"
        f" that the {_WORDS[empty]} scores of a training are not independent."
        for empty, other in replacement_splits(filled).items()
    )
