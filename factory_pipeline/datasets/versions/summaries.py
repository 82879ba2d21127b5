"""Summaries of collections, datasets, versions and comparisons, which can be sent as JSON."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from factory_pipeline.datasets.versions.partition_keys import version_key
from factory_pipeline.plain_text import count_noun, escape_controls
from factory_pipeline.splits.names import SPLITS


class Summary(BaseModel):
    """An immutable value."""

    model_config = ConfigDict(frozen=True)


class OperationSummary(Summary):
    """Annotations that were added together."""

    id: str
    source: str
    """`human` or `machine`."""
    labels: dict[str, int]
    """Annotations by label, by name."""
    created: datetime
    damage: str | None = None
    """Why its annotations can't be read; None if they can."""

    def __str__(self) -> str:
        if self.damage is not None:
            return f"{self.id}  {self.source}: damaged. {escape_controls(self.damage)}"
        labels = ", ".join(f"{escape_controls(label)} ({count:,})" for label, count in self.labels.items())
        return f"{self.id}  {self.source}: {labels}"


class CollectionSummary(Summary):
    """A collection of the data lake."""

    id: str
    name: str
    source: str
    """Its source: `gedi`, `upload` or `release`."""
    items: int
    operations: tuple[OperationSummary, ...]
    created: datetime

    def __str__(self) -> str:
        first = f"{self.id}  {escape_controls(self.name)}  {count_noun(self.items, 'item')}, {self.source}"
        return "\n".join([first, *(f"  {operation}" for operation in self.operations)])


class VersionSummary(Summary):
    """A version of a dataset."""

    id: str
    number: str
    """Such as `1.0.4`."""
    dataset_id: str
    dataset: str
    state: str
    """`damaged` if the manifest is missing or can't be read."""
    created: datetime
    content_hash: str | None
    source_version_id: str | None
    items: int
    """Originals; augmented copies are made by the exports."""
    splits: dict[str, int]
    """Items by split."""
    labels: dict[str, int]
    """Annotations by label, in the requested order of the labels."""
    exports: tuple[str, ...]
    """Formats that it is exported in."""
    request: dict[str, Any]
    """The request."""
    leaks: str | None = None
    """What the search for overlapping and identical items in different splits has found, in one sentence;
    None for a version of an earlier release."""
    damage: str | None = None
    """Why its manifest can't be read; counts are 0 then."""

    @property
    def partition(self) -> str:
        """Its key among the partitions of the exports."""
        return version_key(self.dataset, self.number, self.id)

    def __str__(self) -> str:
        if self.damage is not None:
            named = f"{escape_controls(self.dataset)} {self.number}  {self.state}  {self.id}"
            return f"{named}\n{escape_controls(self.damage)}"
        splits = ", ".join(f"{self.splits.get(split, 0)} {split}" for split in SPLITS)
        labels = ", ".join(f"{escape_controls(label)} ({count})" for label, count in self.labels.items())
        return "\n".join(
            [
                f"{escape_controls(self.dataset)} {self.number}  {self.state}  {self.id}",
                f"Items    {self.items:,}: {splits}",
                *([f"Leaks    {self.leaks}"] if self.leaks else []),
                f"Labels   {labels}",
                f"Exports  {', '.join(self.exports) or 'none'}",
                f"Hash     {self.content_hash or '-'}",
            ]
        )


class DatasetSummary(Summary):
    """A dataset and its versions, the oldest first."""

    id: str
    name: str
    created: datetime
    versions: tuple[VersionSummary, ...]

    def __str__(self) -> str:
        lines = [f"{escape_controls(self.name)}  {self.id}"]
        lines += [
            f"  {version.number:<8} {version.id}  "
            + (
                f"{count_noun(version.items, 'item')}, {', '.join(version.exports) or 'no exports'}"
                if version.damage is None
                else f"{version.state}. {escape_controls(version.damage)}"
            )
            for version in self.versions
        ]
        return "\n".join(lines)


MOST_NAMED = 5
"""Largest number of items that a printed comparison lists."""


@dataclass(frozen=True)
class Comparison:
    """The differences from one version to another; `str()` formats them for people."""

    before: str
    """Number of the one version."""
    after: str
    """Number of the other."""
    added: tuple[str, ...]
    """Names of items that only the other version has."""
    removed: tuple[str, ...]
    """Names of items that only the one version has."""
    moved: tuple[tuple[str, str, str], ...]
    """Items that changed their split: name, from, to."""
    reannotated: tuple[str, ...]
    """Items of both versions whose annotations differ."""
    annotations_added: int
    """On items of both versions."""
    annotations_removed: int
    """On items of both versions."""
    labels_added: tuple[str, ...]
    labels_removed: tuple[str, ...]
    augmentations_changed: bool
    is_same: bool
    """Whether both have the same content."""

    def __str__(self) -> str:
        first = f"{self.before} -> {self.after}"
        if self.is_same:
            return f"{first}: the same content"
        turns = Counter(f"{before} -> {after}" for _, before, after in self.moved)
        told = [
            ("Items added", _format_names(self.added)),
            ("Items removed", _format_names(self.removed)),
            ("Items moved", ", ".join(f"{count:,} {turn}" for turn, count in sorted(turns.items()))),
            ("Items re-annotated", _format_names(self.reannotated)),
            ("Annotations", _changes(self.annotations_added, self.annotations_removed)),
            ("Labels added", ", ".join(map(escape_controls, self.labels_added))),
            ("Labels removed", ", ".join(map(escape_controls, self.labels_removed))),
            ("Augmentations", "changed" if self.augmentations_changed else ""),
        ]
        lines = [f"{name + ':':<20}{text}" for name, text in told if text]
        return "\n".join([first, *(lines or ["the same items and annotations, with other metadata"])])


def _format_names(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    more = ", ..." if len(names) > MOST_NAMED else ""
    return f"{len(names):,} ({', '.join(names[:MOST_NAMED])}{more})"


def _changes(added: int, removed: int) -> str:
    return f"{added:,} added, {removed:,} removed" if added or removed else ""
