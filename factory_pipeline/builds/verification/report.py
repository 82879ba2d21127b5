"""What a verification found, for a person and for a script."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class VerifiedSubject:
    """One thing that was compared with its originals: a sample, an item, a file."""

    name: str
    """How a person finds it, such as `train_dataset.h5 sample 3 (shot 65150500200000001)`."""
    differences: tuple[str, ...] = ()
    """A sentence for each difference; empty if there is none."""
    unreadable: tuple[str, ...] = ()
    """A sentence for each original that could not be read, so that nothing can be said about it."""

    @property
    def passed(self) -> bool:
        """True where everything could be compared and nothing differs."""
        return not self.differences and not self.unreadable


@dataclass(frozen=True)
class VerificationReport:
    """The outcome of one verification."""

    target: str
    """What was verified: a path or a name."""
    kind: str
    """`build`, `version` or `export`."""
    subject: str
    """What the subjects are, in the plural, such as `samples`."""
    total: int
    """How many subjects the target holds."""
    results: Sequence[VerifiedSubject]
    """Of the subjects that were compared, in a fixed order."""
    notes: Sequence[str] = ()
    """What a person should know beside the results, a sentence each."""

    @property
    def passed(self) -> bool:
        """True where every compared subject passed."""
        return all(result.passed for result in self.results)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data with stable keys."""
        return {
            "target": self.target,
            "kind": self.kind,
            "passed": self.passed,
            "total": self.total,
            "checked": len(self.results),
            "failed": sum(not result.passed for result in self.results),
            "notes": list(self.notes),
            "results": [
                {
                    "name": result.name,
                    "passed": result.passed,
                    "differences": list(result.differences),
                    "unreadable": list(result.unreadable),
                }
                for result in self.results
            ],
        }

    def __str__(self) -> str:
        lines = []
        for result in self.results:
            lines.append(f"{'ok  ' if result.passed else 'FAIL'}  {result.name}")
            lines += [f"        {sentence}" for sentence in (*result.differences, *result.unreadable)]
        lines += self.notes
        failed = sum(not result.passed for result in self.results)
        outcome = f"{failed} of them failed" if failed else "nothing differs"
        lines.append(
            f"{self.target}: {len(self.results):,} of {self.total:,} {self.subject} verified; {outcome}."
        )
        return "\n".join(lines)
