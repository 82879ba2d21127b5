"""Which collections and items a request means before query and filter are applied, and which operations."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from factory_pipeline.errors import ArgumentError, LakeError
from factory_pipeline.registry.records import Collection, VersionState
from factory_pipeline.registry.registry import Registry
from factory_pipeline.storage import FactoryHome
from factory_pipeline.versions.collection_tables import CollectionTables
from factory_pipeline.versions.manifest import check_manifest, scan_manifest
from factory_pipeline.versions.request import ItemType, VersionRequest

MOST_NAMED = 10
"""Collections or operations that a message lists."""


@dataclass(frozen=True)
class Candidates:
    """A set of items of one collection that the query is put to."""

    tables: CollectionTables
    items: pl.LazyFrame
    annotations: pl.LazyFrame | None
    whole: str | None
    """What is taken as a whole when one item of it matches; None where each item stands for itself."""


def meant_collections(
    registry: Registry, home: FactoryHome, request: VersionRequest
) -> list[CollectionTables]:
    """The collections that items may be taken from, in the order in which they came.

    Raises:
        ArgumentError: there is no such collection.
        LakeError: the lake is empty.
    """
    living = registry.collections()
    if request.collection_id is not None:
        named = [collection for collection in living if collection.id == request.collection_id]
        if not named:
            raise ArgumentError("collection_id", request.collection_id, _which(request.collection_id, living))
        living = named
    if not living:
        raise LakeError("The data lake has no collection yet; build or upload one first.")
    return [CollectionTables.of(registry, home, collection) for collection in living]


def check_operations(request: VersionRequest, collections: Sequence[CollectionTables]) -> None:
    """See that the operations of a request are those of the collections.

    Raises:
        ArgumentError: one is not.
    """
    known = {operation.id: each for each in collections for operation in each.operations}
    for place, operation_id in enumerate(request.operation_list or ()):
        if operation_id not in known:
            told = [
                f"{operation.id} ({operation.source}, of {each.collection.name!r})"
                for each in collections
                for operation in each.operations
            ]
            there = f"there are {listed(told)}" if told else "they have none, so give None or []"
            raise ArgumentError(
                f"operation_list[{place}]",
                operation_id,
                f"it must be the id of an operation of the items' collections; {there}",
            )


def candidates(
    registry: Registry, home: FactoryHome, request: VersionRequest, collections: Sequence[CollectionTables]
) -> list[Candidates]:
    """The sets of items that the query is put to.

    Raises:
        ArgumentError: datasets are asked for and there is none.
        LakeError: a table is missing.
    """
    if request.item_type is ItemType.DATASET:
        return _of_datasets(registry, home, request, {each.collection.id: each for each in collections})
    is_whole = request.item_type is ItemType.IMAGE_COLLECTION
    return [
        Candidates(each, each.items, each.annotations(), each.collection.id if is_whole else None)
        for each in collections
    ]


def _of_datasets(
    registry: Registry,
    home: FactoryHome,
    request: VersionRequest,
    collections: Mapping[str, CollectionTables],
) -> list[Candidates]:
    """The items of the latest ready version of each dataset, by collection; `collection` is its name."""
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


def _which(collection_id: str, living: Sequence[Collection]) -> str:
    """What a collection's id may be, as the end of a sentence."""
    if not living:
        return "the data lake has no collection yet; build or upload one first"
    told = {name: f"{each.id} ({each.name!r})" for each in living for name in (each.id, each.name)}
    near = difflib.get_close_matches(collection_id, told, n=3) or list(told)
    return f"it must be the id of a collection, such as {listed(dict.fromkeys(told[name] for name in near))}"


def listed(values: Iterable[str]) -> str:
    """The first of many, for a message."""
    all_of_them = list(values)
    more = len(all_of_them) - MOST_NAMED
    return ", ".join(all_of_them[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
