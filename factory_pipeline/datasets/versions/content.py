"""The content of a version: its samples one by one, with composed masks and augmented copies."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from factory_pipeline.datalake.registry.records import VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.augment.apply import copies_per_sample, with_copies
from factory_pipeline.datasets.augment.config import parse_augmentations
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.datasets.versions.compose_sample import sample_of
from factory_pipeline.datasets.versions.credits import credits_of
from factory_pipeline.datasets.versions.manifest import check_manifest, read_header, read_rows, scan_manifest
from factory_pipeline.datasets.versions.media import MediaReader
from factory_pipeline.errors import LakeError
from factory_pipeline.processors import processor_count
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.layout import FactoryHome

TRAIN = SPLITS[0]
THREADS = min(4, processor_count())
"""Number of threads that make augmented copies; about twice as many copies are in memory."""


class ManifestContent:
    """The content of a manifest and its rasters; a `model.version_content.VersionContent`.

    Rasters are read while samples are iterated, and must be unchanged since the version was made. Close it,
    or use it in a `with` block, to close the HDF5 files that it opened.
    """

    def __init__(
        self,
        home: FactoryHome,
        manifest: Path,
        dataset: str,
        number: str,
        credits: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        """Read the header of a manifest; use `open_content` for a registered version.

        Raises:
            LakeError: the manifest is missing or damaged.
        """
        self._manifest = manifest
        self._dataset = dataset
        self._number = number
        self._credits = credits
        self._header = read_header(manifest)
        self._augmentations = parse_augmentations(self._header.augmentations)
        self._reader = MediaReader(home)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the HDF5 files that were opened; they are opened again on use."""
        self._reader.close()

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self._dataset

    @property
    def number(self) -> str:
        """Such as `1.0.4`."""
        return self._number

    @property
    def credits(self) -> tuple[Mapping[str, Any], ...]:
        """Licences and makers of its collections, where these state any; see `credits_of`."""
        return self._credits

    @property
    def content_hash(self) -> str:
        """SHA-256 in hex of the version, which is the seed of augmented copies."""
        return self._header.content_hash

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the classes."""
        return self._header.labels

    @property
    def values(self) -> Mapping[str, int]:
        """The class value of each label."""
        return self._header.values

    @property
    def modalities(self) -> Mapping[str, tuple[str, ...]]:
        """The bands that most items have, by modality; the modality that most items have comes first."""
        return self._header.modalities

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Samples by split, including augmented copies."""
        return dict(self._header.items) | {TRAIN: self._header.items[TRAIN] + self._copies()}

    @property
    def dated(self) -> datetime | None:
        """The latest time of an item; None if no item has one."""
        return self._header.dated

    def samples(self, split: str) -> Iterator[Sample]:
        """Yield the samples of a split by name, each followed by its augmented copies.

        Few at a time in memory.

        Raises:
            LakeError: a raster is missing, has changed since the version was made, or does not match its
                item.
        """
        originals = self._originals(split)
        if split != TRAIN or not self._augmentations:
            return originals
        return with_copies(originals, self._augmentations, self.content_hash, THREADS)

    def _originals(self, split: str) -> Iterator[Sample]:
        for rows in read_rows(self._manifest):
            for row in rows.filter(pl.col("split") == split).iter_rows(named=True):
                yield sample_of(row, self.values, self._reader)

    def _copies(self) -> int:
        """Return the number of augmented copies: colours are changed only if they are known."""
        if not self._augmentations:
            return 0
        has_rgb = pl.col("media").list.eval(pl.element().struct.field("rgb").is_not_null()).list.any()
        train = scan_manifest(self._manifest).filter(pl.col("split") == TRAIN)
        coloured = train.select(has_rgb.sum()).collect(engine="streaming").item()
        others = self._header.items[TRAIN] - coloured
        return coloured * copies_per_sample(self._augmentations) + others * copies_per_sample(
            self._augmentations, has_rgb=False
        )


def open_content(registry: Registry, home: FactoryHome, version_id: str) -> ManifestContent:
    """Open a ready version; keep it in `Registry.reading` or `Registry.exporting` meanwhile.

    Args:
        registry: contains the version.
        home: contains its manifest.
        version_id: its full id.

    Raises:
        RegistryError: there is no such version.
        LakeError: it is not ready, or its manifest is missing, damaged or does not match its content hash.
    """
    version = registry.version(version_id)
    if version.state is not VersionState.READY:
        raise LakeError(f"Version {version_id} ({version.number}) is {version.state}, so it has no content.")
    dataset = registry.dataset(version.dataset_id)
    manifest = home.version(version_id).manifest
    check_manifest(manifest, version.content_hash)
    credits = credits_of(registry, home, manifest)
    return ManifestContent(home, manifest, dataset.name, version.number, credits)
