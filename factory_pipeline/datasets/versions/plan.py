"""The plan of a version: its items, their names and splits, its labels. Nothing is written here.

A request that can't be fulfilled fails here, before any work starts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from factory_pipeline.datalake.registry.records import Version
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.augment.apply import SUFFIXES
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.subset import BANDS
from factory_pipeline.datasets.versions.assign_splits import SplitPlan, plan_splits
from factory_pipeline.datasets.versions.candidates import candidates, resolve_collections, resolve_operations
from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.datasets.versions.draw_items import draw_items
from factory_pipeline.datasets.versions.find import find_version
from factory_pipeline.datasets.versions.item_names import unique_names
from factory_pipeline.datasets.versions.item_thumbnails import thumbnails_of
from factory_pipeline.datasets.versions.manifest import check_manifest, scan_manifest
from factory_pipeline.datasets.versions.select_annotations import AnnotationChoice
from factory_pipeline.datasets.versions.select_items import (
    ItemSelection,
    choose_items,
    items_of_source,
    unite,
)
from factory_pipeline.datasets.versions.split_by_rule import split_by_rule
from factory_pipeline.datasets.versions.split_properties import balanced_classes, joining_properties
from factory_pipeline.errors import ArgumentError
from factory_pipeline.storage.layout import FactoryHome


@dataclass(frozen=True)
class VersionPlan:
    """A version that can be created."""

    request: DatasetRequest
    """The request with ids in place of names, and with the labels if all were requested."""
    collections: dict[str, CollectionTables]
    """Those of the items and annotations, by id."""
    holds: frozenset[str]
    """Ids of the collections that can't be deleted before the version."""
    annotations: AnnotationChoice
    items: pl.DataFrame
    """`name`, `split`, `collection`, `id` of the items."""
    splits: SplitPlan
    left_out: Mapping[str, Mapping[str, Sequence[str]]]
    """Ids of the items in no split, by reason and by the name of their collection."""


@dataclass(frozen=True)
class _Source:
    """The version that is updated."""

    version: Version
    manifest: pl.LazyFrame
    labels: tuple[str, ...]
    collections: dict[str, CollectionTables]
    """Those of its items and annotations, by id."""

    @classmethod
    def of(cls, registry: Registry, home: FactoryHome, version: Version) -> Self:
        path = home.version(version.id).manifest
        collections = [registry.collection(each) for each in registry.version_collections(version.id)]
        tables = {each.id: CollectionTables.of(registry, home, each) for each in collections}
        labels = check_manifest(path, version.content_hash).labels
        return cls(version, scan_manifest(path), labels, tables)

    def item_collections(self) -> list[str]:
        """Return the ids of the collections that its items are from."""
        return self.manifest.select(pl.col("collection").unique()).collect()["collection"].to_list()


def check_version(registry: Registry, home: FactoryHome, request: DatasetRequest) -> None:
    """Check that a version can be created as requested; reads the data lake and writes nothing.

    Args:
        registry: contains collections and datasets.
        home: contains their tables.
        request: of the version.

    Raises:
        ArgumentError: a collection, operation, label or version does not exist, no item matches, or the name
            of the new dataset is in use.
        LakeError: a table of the data lake is missing or damaged.
        RegistryError: the source version is being deleted.
    """
    if request.dataset_name is not None and registry.is_name_in_use(request.dataset_name):
        raise ArgumentError(
            "dataset_name",
            request.dataset_name,
            "this name is in use; choose another one, or make a new version of that dataset by"
            " `factory dataset update`",
        )
    with plan_version(registry, home, request, reads_pixels=False):
        pass


@contextmanager
def plan_version(
    registry: Registry, home: FactoryHome, request: DatasetRequest, reads_pixels: bool = True
) -> Iterator[VersionPlan]:
    """Yield the plan of a version; inside the block the version that is updated can't be deleted.

    Args:
        registry: contains collections and versions.
        home: contains their tables.
        request: the request.
        reads_pixels: False plans without what is known by pixels, near-identical images and a subset that is
            drawn by them, as reading them takes long.

    Raises:
        ArgumentError: a collection, operation, label or version does not exist, or no item matches.
        LakeError: a table of the data lake is missing or damaged.
        RegistryError: the source version is being deleted.
    """
    if request.dataset_version_id is None:
        yield _plan(registry, home, request, None, reads_pixels)
        return
    found = find_version(registry, request.dataset_version_id, "dataset_version_id")
    with registry.reading(found.id) as version:
        yield _plan(registry, home, request, _Source.of(registry, home, version), reads_pixels)


def _plan(
    registry: Registry,
    home: FactoryHome,
    request: DatasetRequest,
    source: _Source | None,
    reads_pixels: bool,
) -> VersionPlan:
    within = source.item_collections() if source is not None and request.within_source else []
    meant = resolve_collections(registry, home, request, within)
    known = (source.collections if source is not None else {}) | {each.collection.id: each for each in meant}
    request = request.model_copy(
        update={
            "dataset_version_id": None if source is None else source.version.id,
            "collection_id": None if request.collection_id is None else meant[0].collection.id,
            "operation_list": resolve_operations(request, list(known.values())),
        }
    )
    chosen = choose_items(request, candidates(registry, home, request, meant))
    if source is not None:
        chosen = pl.concat([items_of_source(source.manifest), chosen])
    selection = unite(chosen)
    annotations = _annotations(request, known, selection, source)
    if not request.labels:
        request = request.model_copy(update={"labels": annotations.all_labels()})
        annotations = replace(annotations, request=request)
    annotations.check_labels()
    subset = request.subset_rule
    if subset is not None and (reads_pixels or BANDS not in subset.cover):
        drawn = draw_items(selection.items, subset, known, annotations.labels_of(selection.items))
        selection = selection.only(drawn)
        annotations = replace(annotations, members=selection.members)
    labels = annotations.labels_of(selection.items) if len(request.labels) > 1 else None
    rule = request.split_rule
    said = None if rule is None else split_by_rule(selection.items, rule, known)
    splits = plan_splits(
        selection.items,
        balanced_classes(selection.items, labels, request, known),
        request,
        joining_properties(selection.items, request, known),
        thumbnails_of(selection.items, known, reads_pixels),
        said,
    )
    left_out = _left_out(selection.items, splits.reason, known)
    if left_out:
        selection = selection.only(splits.split.is_not_null())
        annotations = replace(annotations, members=selection.members)
    side = splits.split.drop_nulls()
    return VersionPlan(
        request=request,
        collections=known,
        holds=frozenset([*selection.members["collection"].unique(), *(source.collections if source else ())]),
        annotations=annotations,
        items=selection.items.select(_names(selection, request), side, "collection", "id"),
        splits=splits,
        left_out=left_out,
    )


def _left_out(
    items: pl.DataFrame, reason: pl.Series, collections: Mapping[str, CollectionTables]
) -> dict[str, dict[str, list[str]]]:
    """Return the ids of the items in no split, by reason and by the name of their collection."""
    named: dict[str, dict[str, list[str]]] = {}
    out = items.select("collection", "id", reason).drop_nulls("reason").sort("reason", "collection", "id")
    for (why, collection), ids in out.group_by("reason", "collection", maintain_order=True):
        name = collections[str(collection)].collection.name
        named.setdefault(str(why), {})[name] = ids["id"].to_list()
    return named


def _annotations(
    request: DatasetRequest,
    collections: dict[str, CollectionTables],
    selection: ItemSelection,
    source: _Source | None,
) -> AnnotationChoice:
    if source is None:
        return AnnotationChoice(request, collections, selection.members)
    return AnnotationChoice(request, collections, selection.members, source.manifest, source.labels)


def _names(selection: ItemSelection, request: DatasetRequest) -> pl.Series:
    items = selection.items
    names = unique_names(
        items["id"].to_list(),
        items["content"].to_list(),
        items["name"].to_list(),
        [f"-{suffix}" for suffix in SUFFIXES.values()] if request.augmentations else (),
    )
    return pl.Series("name", names, dtype=pl.String)
