"""The report on added annotations: which images are items, which annotations were skipped, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from factory_pipeline.errors import LakeError

MOST_NAMED = 5
"""Largest number of images and reasons in a message."""


class BadAnnotationError(LakeError):
    """An annotation that is not valid; the others of its file are still added."""

    def __init__(self, which: str, reason: str) -> None:
        """Compose the sentence.

        Args:
            which: the annotation, such as `The annotation 5 of boxes.json`, as the start of the sentence.
            reason: what is wrong with it, as the rest of the sentence.
        """
        super().__init__(f"{which} {reason}.")
        self.which = which
        self.reason = reason


@dataclass
class LeftOut:
    """The annotations of a file that were skipped, by reason."""

    counts: dict[str, int] = field(default_factory=dict)
    """Number by reason, which is the end of a sentence about an annotation."""
    first: dict[str, str] = field(default_factory=dict)
    """The first annotation of each reason."""

    def add(self, which: str, reason: str) -> None:
        """Count one annotation.

        Args:
            which: names the annotation; the first one of each reason is shown.
            reason: under which it is counted.
        """
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.first.setdefault(reason, which)

    def add_error(self, error: BadAnnotationError) -> None:
        """Count an annotation that is not valid."""
        self.add(error.which, error.reason)

    def clause(self) -> str:
        """Return what was skipped and why, to follow a sentence; empty if nothing was."""
        told = [
            f"{_lower_first(self.first[reason])} {reason}" + (f" ({count:,} such)" if count > 1 else "")
            for reason, count in list(self.counts.items())[:MOST_NAMED]
        ]
        return f"; {'; '.join(told)}" if told else ""


@dataclass(frozen=True)
class ReadAnnotations:
    """The annotations of a file or folder."""

    frame: pl.DataFrame
    """In ANNOTATION_SCHEMA."""
    matched: int
    """Number of images or masks that are items."""
    unmatched: Sequence[str]
    """Names of images or masks that are not items."""
    left_out: LeftOut


@dataclass(frozen=True)
class AnnotationReport:
    """The report on added annotations; `str()` formats it for people."""

    operation: str
    """Id of the operation."""
    matched: int
    """Number of items that the annotations name or are on."""
    unmatched: tuple[str, ...]
    """Names of images that are not items."""
    annotations: int
    """Number of annotations of the operation; parts of one object count once."""
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
            f"  {count:,} x {_lower_first(self.left_out.first[reason])} {reason}"
            for reason, count in dropped.items()
        ]
        return "\n".join(lines)


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
