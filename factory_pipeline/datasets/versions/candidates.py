"""The collections, items and operations of a request, before query and filter are applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from factory_pipeline.datalake.registry.records import VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.request import DatasetRequest, ItemType
from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.datasets.versions.find import by_prefix, find_collection, list_similar, listed
from factory_pipeline.datasets.versions.manifest import check_manifest, scan_manifest
from factory_pipeline.errors import ArgumentError, LakeError
from factory_pipeline.storage.layout import FactoryHome


@dataclass(frozen=True)
class Candidates:
    """A set of items of one collection that the query is applied to."""

    tables: CollectionTables
    items: pl.LazyFrame
    annotations: pl.LazyFrame | None
    whole: str | None
    """The unit that is chosen if one of its items matches; None if each item is chosen separately."""


def resolve_collections(
    registry: Registry, home: FactoryHome, request: DatasetRequest, of_source: Sequence[str] = ()
) -> list[CollectionTables]:
    """Return the collections that items may be from, in the order of their registration.

    Args:
        registry: contains them.
        home: contains their tables.
        request: the request.
        of_source: ids of the collections that the items of the source version are from.

    Raises:
        ArgumentError: there is no such collection.
        LakeError: the data lake is empty.
    """
    living = registry.collections()
    if request.collection_id is not None:
        living = [find_collection(registry, request.collection_id)]
    elif request.within_source:
        living = [collection for collection in living if collection.id in of_source]
    if not living:
        raise LakeError("The data lake has no collection yet; build or upload one first.")
    return [CollectionTables.of(registry, home, collection) for collection in living]


def resolve_operations(request: DatasetRequest, collections: Sequence[CollectionTables]) -> list[str] | None:
    """Return the ids of the operations in a request; None if it uses all.

    Args:
        request: its `operation_list` has ids, or the beginnings of ids.
        collections: of the items.

    Raises:
        ArgumentError: one does not belong to the collections.
    """
    if request.operation_list is None:
        return None
    told = {
        operation.id: f"{operation.id} ({operation.source}, of {each.collection.name!r})"
        for each in collections
        for operation in each.operations
    }
    found = []
    for index, given in enumerate(request.operation_list):
        fitting = [given] if given in told else by_prefix(given, told)
        if len(fitting) != 1:
            there = f"there are {list_similar(given, told)}" if told else "they have none, so use None or []"
            if fitting:
                there = f"several begin with it: {listed(told[each] for each in fitting)}"
            raise ArgumentError(
                f"operation_list[{index}]",
                given,
                f"it must be the id of an operation of the items' collections; {there}",
            )
        found += fitting
    return list(dict.fromkeys(found))


def candidates(
    registry: Registry, home: FactoryHome, request: DatasetRequest, collections: Sequence[CollectionTables]
) -> list[Candidates]:
    """Return the sets of items that the query is applied to.

    Args:
        registry: contains the datasets.
        home: contains their manifests.
        request: its `item_type` determines the sets.
        collections: of the items.

    Raises:
        ArgumentError: datasets are requested and there is none.
        LakeError: a table is missing.
    """
    if request.item_type == ItemType.DATASET:
        return _resolve_datasets(registry, home, request, {each.collection.id: each for each in collections})
    is_whole = request.item_type == ItemType.IMAGE_COLLECTION
    return [
        Candidates(each, each.items, each.annotations(), each.collection.id if is_whole else None)
        for each in collections
    ]


def _resolve_datasets(
    registry: Registry,
    home: FactoryHome,
    request: DatasetRequest,
    collections: Mapping[str, CollectionTables],
) -> list[Candidates]:
    """Return the items of the latest ready version of each dataset, by collection.

    `collection` is its name.
    """
    found = []
    for dataset in registry.datasets():
        ready = [each for each in registry.versions(dataset.id) if each.state is VersionState.READY]
        if not ready:
            continue
        with registry.reading(ready[-1].id) as version:
            path = home.version(version.id).manifest
            check_manifest(path, version.content_hash)
            items = scan_manifest(path).select("collection", "id").collect()
        for (collection_id,), there in items.partition_by("collection", as_dict=True).items():
            tables = collections[collection_id]
            named = tables.items.with_columns(collection=pl.lit(dataset.name))
            in_it = named.join(there.lazy(), on="id", how="semi", maintain_order="left")
            found.append(Candidates(tables, in_it, tables.annotations(), dataset.id))
    if not found:
        raise ArgumentError("item_type", str(request.item_type), "no dataset has a ready version yet")
    return found
