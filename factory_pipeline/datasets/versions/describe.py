"""Summaries of collections, datasets and versions, which can be sent as JSON."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from factory_pipeline.datalake.registry.records import (
    Collection,
    Dataset,
    ExportState,
    Operation,
    Version,
    VersionState,
)
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.versions.summaries import (
    CollectionSummary,
    DatasetSummary,
    OperationSummary,
    VersionSummary,
)
from factory_pipeline.errors import LakeError
from factory_pipeline.splits.read_record import read_record
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve

if TYPE_CHECKING:
    import polars as pl

    from factory_pipeline.datasets.versions.manifest import ManifestHeader

DAMAGED = "damaged"
"""State of a version whose manifest is missing or can't be read."""


def list_collections(registry: Registry, home: FactoryHome) -> list[CollectionSummary]:
    """Return the collections of the data lake in the order of their registration.

    Damaged annotations are marked.

    Args:
        registry: of the home.
        home: contains the tables.
    """
    return [_collection(registry, home, collection) for collection in registry.collections()]


def list_datasets(registry: Registry, home: FactoryHome) -> list[DatasetSummary]:
    """Return the datasets by name; versions whose manifest is damaged are marked.

    Args:
        registry: of the home.
        home: contains the manifests.
    """
    ready = registry.ready_exports()
    return [_dataset(registry, home, dataset, ready) for dataset in registry.datasets()]


def describe_dataset(registry: Registry, home: FactoryHome, name_or_id: str) -> DatasetSummary:
    """Describe one dataset.

    Args:
        registry: of the home.
        home: contains the manifests.
        name_or_id: the exact name, or the full id.

    Raises:
        RegistryError: there is no such dataset.
    """
    return _dataset(registry, home, registry.dataset(name_or_id), registry.ready_exports())


def describe_version(registry: Registry, home: FactoryHome, version_id: str) -> VersionSummary:
    """Describe one version; it is marked if its manifest is damaged.

    Args:
        registry: of the home.
        home: contains the manifest.
        version_id: its full id.

    Raises:
        RegistryError: there is no such version.
    """
    version = registry.version(version_id)
    ready = [export.type for export in registry.exports(version.id) if export.state is ExportState.READY]
    return _version(home, registry.dataset(version.dataset_id), version, ready)


def split_table(version: VersionSummary) -> "pl.DataFrame":
    """Return `split`, `items`: a row per split."""
    import polars as pl

    return pl.DataFrame({"split": list(version.splits), "items": list(version.splits.values())})


def label_table(version: VersionSummary) -> "pl.DataFrame":
    """Return `label`, `annotations`: a row per label."""
    import polars as pl

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
    import polars as pl

    from factory_pipeline.datalake.tables.annotations import objects_by_label, read_classes, scan_annotations

    counts, damage = {}, None
    try:
        labels = objects_by_label(scan_annotations(resolve(operation.path, home)), "item")
        found = dict(labels.collect(engine="streaming").iter_rows())
        counts = dict.fromkeys(read_classes(resolve(operation.path, home)), 0) | found
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


def _dataset(
    registry: Registry, home: FactoryHome, dataset: Dataset, ready: Mapping[str, Sequence[str]]
) -> DatasetSummary:
    return DatasetSummary(
        id=dataset.id,
        name=dataset.name,
        created=dataset.created,
        versions=tuple(
            _version(home, dataset, version, ready.get(version.id, ()))
            for version in registry.versions(dataset.id)
            if version.state is VersionState.READY
        ),
    )


def _version(home: FactoryHome, dataset: Dataset, version: Version, ready: Sequence[str]) -> VersionSummary:
    header: ManifestHeader | None = None
    damage = None
    if version.state is VersionState.READY:
        from factory_pipeline.datasets.versions.manifest import check_header

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
        exports=tuple(ready),
        request=version.spec,
        leaks=_leaks(home, version) if header else None,
        damage=damage,
    )


def _leaks(home: FactoryHome, version: Version) -> str | None:
    """Return the first sentence of the record of a version's splits."""
    try:
        return str(read_record(home.version(version.id).splits)["sentences"][0])
    except (OSError, ValueError, KeyError, IndexError):
        return None
