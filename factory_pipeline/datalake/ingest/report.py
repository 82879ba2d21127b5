"""What became of annotations that were given: which images are items, what was left out, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from factory_pipeline.errors import LakeError

MOST_NAMED = 5
"""Images and reasons that a message lists."""


class BadAnnotationError(LakeError):
    """An annotation that can't be taken; the others of its file can."""

    def __init__(self, which: str, reason: str) -> None:
        """Say in one sentence which annotation it is, and what is wrong with it.

        Args:
            which: such as `The annotation 5 of boxes.json`, the beginning of the sentence.
            reason: the rest of it, without which annotation it is.
        """
        super().__init__(f"{which} {reason}.")
        self.which = which
        self.reason = reason


@dataclass
class LeftOut:
    """The annotations of a file that were left out, by reason."""

    counts: dict[str, int] = field(default_factory=dict)
    """By reason, which is the end of a sentence about an annotation."""
    first: dict[str, str] = field(default_factory=dict)
    """The first annotation of each reason."""

    def add(self, which: str, reason: str) -> None:
        """Count one annotation."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.first.setdefault(reason, which)

    def add_error(self, error: BadAnnotationError) -> None:
        """Count an annotation that can't be taken."""
        self.add(error.which, error.reason)

    def clause(self) -> str:
        """Return what was left out and why, to follow a sentence; empty where nothing was."""
        told = [
            f"{_lowered(self.first[reason])} {reason}" + (f" ({count:,} such)" if count > 1 else "")
            for reason, count in list(self.counts.items())[:MOST_NAMED]
        ]
        return f"; {'; '.join(told)}" if told else ""


@dataclass(frozen=True)
class ReadAnnotations:
    """What was read of a file or folder of annotations."""

    frame: pl.DataFrame
    """In ANNOTATION_SCHEMA."""
    matched: int
    """Images or masks that are items."""
    unmatched: Sequence[str]
    """Names of the others."""
    left_out: LeftOut


@dataclass(frozen=True)
class AnnotationReport:
    """What became of annotations that were given; `str()` tells it to a person."""

    operation: str
    """Id of the operation."""
    matched: int
    """Images that the annotations name, or lie on, and that are items."""
    unmatched: tuple[str, ...]
    """Names of images that are no items."""
    annotations: int
    """Annotations that the operation has; parts of one object count once."""
    left_out: LeftOut

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data with stable keys."""
        dropped = self.left_out.counts
        return {
            "operation": self.operation,
            "matched": self.matched,
            "unmatched": list(self.unmatched),
            "annotations": self.annotations,
            "dropped": sum(dropped.values()),
            "reasons": [
                {"reason": reason, "count": count, "first": self.left_out.first[reason]}
                for reason, count in dropped.items()
            ],
        }

    def __str__(self) -> str:
        images = f"Images       {self.matched:,} matched, {len(self.unmatched):,} unmatched"
        if self.unmatched:
            more = ", ..." if len(self.unmatched) > MOST_NAMED else ""
            images += f" ({', '.join(self.unmatched[:MOST_NAMED])}{more})"
        dropped = self.left_out.counts
        lines = [f"Operation {self.operation}", images]
        lines.append(f"Annotations  {self.annotations:,} added, {sum(dropped.values()):,} dropped")
        lines += [
            f"  {count:,} x {_lowered(self.left_out.first[reason])} {reason}"
            for reason, count in dropped.items()
        ]
        return "\n".join(lines)


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
