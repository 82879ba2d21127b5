"""What there is: collections, datasets and versions as plain values that travel as JSON."""

from datetime import datetime
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from factory_pipeline.datalake.registry.records import (
    Collection,
    Dataset,
    ExportState,
    Operation,
    Version,
    VersionState,
)
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import objects_by_label, scan_annotations
from factory_pipeline.datasets.versions.manifest import ManifestHeader, check_header
from factory_pipeline.datasets.versions.partition_keys import version_key
from factory_pipeline.errors import LakeError
from factory_pipeline.plain_text import plain
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve

DAMAGED = "damaged"
"""State of a version whose manifest is missing or can't be read."""


class Summary(BaseModel):
    """A value that is read only."""

    model_config = ConfigDict(frozen=True)


class OperationSummary(Summary):
    """Annotations that came together."""

    id: str
    source: str
    """`human` or `machine`."""
    labels: dict[str, int]
    """Annotations by label, by name."""
    created: datetime
    damage: str | None = None
    """Why its annotations can't be read."""

    def __str__(self) -> str:
        if self.damage is not None:
            return f"{self.id}  {self.source}: damaged. {plain(self.damage)}"
        labels = ", ".join(f"{plain(label)} ({count:,})" for label, count in self.labels.items())
        return f"{self.id}  {self.source}: {labels}"


class CollectionSummary(Summary):
    """A collection of the data lake."""

    id: str
    name: str
    source: str
    """The door: `gedi`, `upload` or `release`."""
    items: int
    operations: tuple[OperationSummary, ...]
    created: datetime

    def __str__(self) -> str:
        first = f"{self.id}  {plain(self.name)}  {self.items:,} items, {self.source}"
        return "\n".join([first, *(f"  {operation}" for operation in self.operations)])


class VersionSummary(Summary):
    """A version of a dataset."""

    id: str
    number: str
    """Such as `1.0.4`."""
    dataset_id: str
    dataset: str
    state: str
    """`damaged` where the manifest is missing or can't be read."""
    created: datetime
    content_hash: str | None
    source_version_id: str | None
    items: int
    """Originals; augmented copies are made by the exports."""
    splits: dict[str, int]
    """Items by split."""
    labels: dict[str, int]
    """Annotations by label, in the order in which the labels were asked for."""
    exports: tuple[str, ...]
    """Formats that are there."""
    request: dict[str, Any]
    """What was asked for."""
    damage: str | None = None
    """Why its manifest can't be read; counts are 0 then."""

    @property
    def partition(self) -> str:
        """Its key among the partitions of the exports."""
        return version_key(self.dataset, self.number, self.id)

    def __str__(self) -> str:
        if self.damage is not None:
            return f"{plain(self.dataset)} {self.number}  {self.state}  {self.id}\n{plain(self.damage)}"
        splits = ", ".join(f"{self.splits.get(split, 0)} {split}" for split in SPLITS)
        labels = ", ".join(f"{plain(label)} ({count})" for label, count in self.labels.items())
        return "\n".join(
            [
                f"{plain(self.dataset)} {self.number}  {self.state}  {self.id}",
                f"Items    {self.items:,}: {splits}",
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
        lines = [f"{plain(self.name)}  {self.id}"]
        lines += [
            f"  {version.number:<8} {version.id}  "
            + (
                f"{version.items:,} items, {', '.join(version.exports) or 'no exports'}"
                if version.damage is None
                else f"{version.state}. {plain(version.damage)}"
            )
            for version in self.versions
        ]
        return "\n".join(lines)


def list_collections(registry: Registry, home: FactoryHome) -> list[CollectionSummary]:
    """The collections of the data lake in the order in which they came; damaged annotations are marked."""
    return [_collection(registry, home, collection) for collection in registry.collections()]


def list_datasets(registry: Registry, home: FactoryHome) -> list[DatasetSummary]:
    """The datasets by name; versions whose manifest is damaged are marked."""
    return [_dataset(registry, home, dataset) for dataset in registry.datasets()]


def describe_dataset(registry: Registry, home: FactoryHome, name_or_id: str) -> DatasetSummary:
    """One dataset.

    Raises:
        RegistryError: no such dataset.
    """
    return _dataset(registry, home, registry.dataset(name_or_id))


def describe_version(registry: Registry, home: FactoryHome, version_id: str) -> VersionSummary:
    """One version; it is marked where its manifest is damaged.

    Raises:
        RegistryError: no such version.
    """
    version = registry.version(version_id)
    return _version(registry, home, registry.dataset(version.dataset_id), version)


def split_table(version: VersionSummary) -> pl.DataFrame:
    """`split`, `items`: a row per split."""
    return pl.DataFrame({"split": list(version.splits), "items": list(version.splits.values())})


def label_table(version: VersionSummary) -> pl.DataFrame:
    """`label`, `annotations`: a row per label."""
    return pl.DataFrame({"label": list(version.labels), "annotations": list(version.labels.values())})


def _collection(registry: Registry, home: FactoryHome, collection: Collection) -> CollectionSummary:
    return CollectionSummary(
        id=collection.id,
        name=collection.name,
        source=collection.source.value,
        items=collection.item_count,
        operations=tuple(_operation(home, operation) for operation in registry.operations(collection.id)),
        created=collection.created,
    )


def _operation(home: FactoryHome, operation: Operation) -> OperationSummary:
    counts, damage = {}, None
    try:
        labels = objects_by_label(scan_annotations(resolve(operation.path, home)), "item")
        counts = dict(labels.collect(engine="streaming").iter_rows())
    except LakeError as error:
        damage = str(error)
    except (pl.exceptions.PolarsError, OSError) as error:
        damage = f"The annotations {operation.path} can't be read: {' '.join(str(error).split())}"
    return OperationSummary(
        id=operation.id,
        source=operation.source.value,
        labels=counts,
        created=operation.created,
        damage=damage,
    )


def _dataset(registry: Registry, home: FactoryHome, dataset: Dataset) -> DatasetSummary:
    return DatasetSummary(
        id=dataset.id,
        name=dataset.name,
        created=dataset.created,
        versions=tuple(
            _version(registry, home, dataset, version)
            for version in registry.versions(dataset.id)
            if version.state is VersionState.READY
        ),
    )


def _version(registry: Registry, home: FactoryHome, dataset: Dataset, version: Version) -> VersionSummary:
    header: ManifestHeader | None = None
    damage = None
    if version.state is VersionState.READY:
        try:
            header = check_header(home.version(version.id).manifest, version.content_hash)
        except LakeError as error:
            damage = str(error)
    return VersionSummary(
        id=version.id,
        number=version.number,
        dataset_id=dataset.id,
        dataset=dataset.name,
        state=version.state.value if damage is None else DAMAGED,
        created=version.created,
        content_hash=version.content_hash,
        source_version_id=version.source_version_id,
        items=sum(header.items.values()) if header else 0,
        splits=dict(header.items) if header else {},
        labels=dict(header.annotations) if header else {},
        exports=tuple(
            export.type for export in registry.exports(version.id) if export.state is ExportState.READY
        ),
        request=version.spec,
        damage=damage,
    )
