"""What was found in a release and what was decided: kept with its images, shown by command and asset."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from factory_pipeline.datalake.ingest.releases.problems import MOST_NAMED
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.atomic import write_text

COUNTS = ("placed_by", "classes", "splits")
"""Fields that count by name, in an order that means something."""


@dataclass(frozen=True)
class ReleaseReport:
    """What became of a release; `str()` tells it to a person."""

    archive: str
    """What the archive is called, without secrets of its address."""
    name: str
    """Of the collection."""
    version: str | None
    """As meta.json has it."""
    public: bool | None
    """As meta.json has it."""
    source: str | None
    source_url: str | None
    items: int
    ml_type: str
    ml_type_why: str
    coordinates: str
    """How the coordinates of labels under an outline were read."""
    coordinates_why: str
    placed_by: Mapping[str, int]
    """Images by where their georeferencing is from."""
    conflicts: Sequence[str]
    """Images whose own georeferencing differs from their label file, as sentences."""
    classes: Mapping[str, int]
    """Annotations by class, in the order of the release; a class without any is among them."""
    splits: Mapping[str, int]
    """Images by the split that bounds.geojson gives them; empty where it gives none."""
    skipped: Sequence[str]
    """Files that were left out, with their reasons."""
    others: Sequence[str]
    """Files that are none of a release's."""
    notes: Sequence[str]
    """What else is to be known, as sentences."""

    def save(self, path: Path) -> None:
        """Write the report as JSON, atomically."""
        write_text(path, json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data with stable keys."""
        return asdict(self)

    def to_unordered(self) -> dict[str, Any]:
        """Return the report for a channel that loses the order of keys; `of_unordered` reads it."""
        document = self.to_json()
        return document | {name: list(document[name].items()) for name in COUNTS}

    @classmethod
    def of_unordered(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_unordered` returned."""
        return cls(**{**document, **{name: dict(document[name]) for name in COUNTS}})

    def shortened(self, most: int) -> Self:
        """Return the report with at most so many sentences of each kind."""
        return replace(
            self,
            conflicts=self.conflicts[:most],
            skipped=self.skipped[:most],
            others=self.others[:most],
            notes=self.notes[:most],
        )

    def __str__(self) -> str:
        lines = [
            f"Release         {self.archive}",
            f"Collection      {self.name}: {count_noun(self.items, 'item')}",
            f"Labels          {self.ml_type} ({self.ml_type_why})",
            f"Coordinates     {self.coordinates} ({self.coordinates_why})",
            f"Georeferencing  {_counts(self.placed_by)}",
            f"Classes         {_counts(self.classes)}",
            f"Splits          {_counts(self.splits) if self.splits else 'none given'}",
        ]
        lines += _list_names("Conflicts", self.conflicts)
        lines += _list_names("Left out", self.skipped)
        lines += _list_names("Passed over", self.others)
        return "\n".join([*lines, *self.notes])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _list_names(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = [f"  and {len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else []
    return [f"{title:<15} {len(names):,}", *(f"  {name}" for name in names[:MOST_NAMED]), *more]
