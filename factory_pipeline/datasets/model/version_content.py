"""The content of a dataset version, as exports read it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.splits.names import SPLITS


class VersionContent(Protocol):
    """The content of a dataset version; it does not depend on when or where it is read."""

    @property
    def dataset(self) -> str:
        """Name of the dataset."""

    @property
    def number(self) -> str:
        """Such as `1.0.4`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """In the requested order, which is the order of the classes in every export."""

    @property
    def values(self) -> Mapping[str, int]:
        """The class value of each label in `Sample.mask`."""

    @property
    def modalities(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the bands by modality; the first modality is used by formats of one image."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Samples by split, including augmented copies."""

    @property
    def credits(self) -> Sequence[Mapping[str, Any]]:
        """By collection that states any: `collection`, `license`, `providers` and `links`, as in STAC."""

    @property
    def dated(self) -> datetime | None:
        """The latest time of its items, for formats that need a date; None if no item has one."""

    def samples(self, split: str) -> Iterator[Sample]:
        """Yield the samples of a split by name, each followed by its augmented copies.

        One at a time in memory.
        """


def filled_splits(version: VersionContent) -> list[str]:
    """Return the splits that have samples, in the order of SPLITS."""
    return [split for split in SPLITS if version.counts.get(split, 0)]


def all_samples(version: VersionContent) -> Iterator[Sample]:
    """Yield the samples of every split, in the order of SPLITS."""
    for split in SPLITS:
        yield from version.samples(split)
