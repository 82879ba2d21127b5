"""What the summaries of all builds share: how they are stored, and lines of their text."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from factory_pipeline.storage.atomic import write_text


@dataclass(frozen=True)
class StoredSummary:
    """A dataclass of plain data that is stored as `summary.json`."""

    def save(self, path: Path) -> None:
        """Write the summary as JSON, atomically."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def unusable_lines(items: Mapping[str, int]) -> Iterator[str]:
    """Yield the lines on items of the catalog that could not be used; none if there are none.

    Args:
        items: their numbers by `source: reason`.
    """
    if items:
        yield f"Items of the catalog that can't be used{sum(items.values()):>15,}"
        yield from (f"  {reason:<36}{count:>16,}" for reason, count in items.items())


def written_lines(files: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines on the files that were written.

    Args:
        files: their paths by what they are.
    """
    yield "Written"
    yield from (f"  {what:<20} {path}" for what, path in files.items())
