"""Making a version: choosing its items, dividing them, writing its manifest, and saying that it is ready.

Whatever fails on the way leaves neither files nor an entry in the registry.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from factory_pipeline.augment.apply import SUFFIXES
from factory_pipeline.errors import ArgumentError
from factory_pipeline.lake.places import relative_to_home
from factory_pipeline.registry.records import Version, VersionState
from factory_pipeline.registry.registry import Registry
from factory_pipeline.storage import FactoryHome, VersionFiles
from factory_pipeline.versions.annotations import AnnotationChoice
from factory_pipeline.versions.collection_tables import CollectionTables
from factory_pipeline.versions.manifest import check_manifest, scan_manifest, write_manifest
from factory_pipeline.versions.meant import candidates, check_operations, meant_collections
from factory_pipeline.versions.names import unique_names
from factory_pipeline.versions.request import VersionRequest
from factory_pipeline.versions.rows import manifest_rows
from factory_pipeline.versions.selection import Selection, chosen_by, items_of_source, unite
from factory_pipeline.versions.split import divide

Progress = Callable[[int, int], None]
"""Told how many items of how many are written."""


@dataclass(frozen=True)
class _Source:
    """The version that is updated."""

    manifest: pl.LazyFrame
    labels: tuple[str, ...]
    collections: dict[str, CollectionTables]
    """Those of its items and annotations, by id."""

    @classmethod
    def of(cls, registry: Registry, home: FactoryHome, version: Version) -> Self:
        path = home.version(version.id).manifest
        collections = [registry.collection(each) for each in registry.version_collections(version.id)]
        tables = {each.id: CollectionTables.of(registry, home, each) for each in collections}
        return cls(scan_manifest(path), check_manifest(path, version.content_hash).labels, tables)


def create_version(
    registry: Registry,
    home: FactoryHome,
    request: VersionRequest,
    on_progress: Progress | None = None,
    check: Callable[[Path], None] | None = None,
) -> Version:
    """Make the first version of a dataset, or the next one from its source version.

    An update holds the items of the source version and those that are chosen. What the source version has
    stays in its split and keeps its name. An item of it that is chosen again has the annotations that the new
    request asks for; another one keeps those it has, as far as their labels are still asked for, and gets
    those of labels that the source version did not have.

    Args:
        registry: where the version is registered.
        home: holds the lake and the version.
        request: what is asked for.
        on_progress: is told how far it is.
        check: is given the manifest before the version is made; what it raises leaves nothing.

    Raises:
        ArgumentError: a collection, operation, label or version is not there, or no item matches.
        LakeError: a table of the lake is missing or broken.
        RegistryError: the name is taken, or the source version is on its way out.
    """
    with _read(registry, request) as source_version:
        meant = meant_collections(registry, home, request)
        source = None if source_version is None else _Source.of(registry, home, source_version)
        known = {each.collection.id: each for each in meant}
        if source is not None:
            known = source.collections | known
        check_operations(request, list(known.values()))
        with _born(registry, request) as version, _written(registry, home, version) as files:
            sweep_unfinished(registry, home)
            chosen = chosen_by(request, candidates(registry, home, request, meant))
            if source is not None:
                chosen = pl.concat([items_of_source(source.manifest), chosen])
            selection = unite(chosen)
            annotations = _annotations(request, known, selection, source)
            annotations.check_labels()
            items = _named_and_divided(selection, request)
            rows = _told(manifest_rows(items, known, annotations), items.height, on_progress)
            header = write_manifest(
                files.manifest, rows, request.labels, [each.as_json() for each in request.augmentations]
            )
            if check is not None:
                check(files.manifest)
            ready = registry.finish_version(
                version.id,
                manifest_path=relative_to_home(files.manifest, home),
                content_hash=header.content_hash,
                collections={*selection.members["collection"], *(source.collections if source else ())},
            )
    return ready


def sweep_unfinished(registry: Registry, home: FactoryHome) -> None:
    """Remove what killed writers left: folders marked as unfinished of versions that the registry lacks."""
    # A version is in the registry before its folder is made, so the folders must be listed first.
    folders = list(home.versions.glob("*")) if home.versions.exists() else []
    unfinished = [folder for folder in folders if home.version(folder.name).unfinished.exists()]
    known = registry.version_ids() if unfinished else set()
    for folder in unfinished:
        if folder.name not in known:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _read(registry: Registry, request: VersionRequest) -> Iterator[Version | None]:
    """The source version, which nobody deletes meanwhile; None for a new dataset."""
    version_id = request.source_version_id
    if version_id is None:
        yield None
        return
    if version_id not in registry.version_ids():
        raise ArgumentError("dataset_version_id", version_id, "it must be the id of a version of a dataset")
    with registry.reading(version_id) as version:
        yield version


def _born(registry: Registry, request: VersionRequest) -> AbstractContextManager[Version]:
    if request.source_version_id is None:
        return registry.create_dataset(request.dataset_name or "", request.as_json())
    return registry.new_version(
        request.source_version_id, request.as_json(), revision=not request.is_new_version_required
    )


@contextmanager
def _written(registry: Registry, home: FactoryHome, version: Version) -> Iterator[VersionFiles]:
    """The folder of a version, which is removed unless the version is ready at the end."""
    files = home.version(version.id)
    files.root.mkdir(parents=True)
    files.unfinished.touch()
    try:
        yield files
    except BaseException:
        # Where the registry does not answer, the mark stays, and the next writer sweeps.
        if registry.version(version.id).state is not VersionState.READY:
            shutil.rmtree(files.root, ignore_errors=True)
        raise
    files.unfinished.unlink()


def _annotations(
    request: VersionRequest,
    collections: Mapping[str, CollectionTables],
    selection: Selection,
    source: _Source | None,
) -> AnnotationChoice:
    if source is None:
        return AnnotationChoice(request, collections, selection.members)
    return AnnotationChoice(request, collections, selection.members, source.manifest, source.labels)


def _named_and_divided(selection: Selection, request: VersionRequest) -> pl.DataFrame:
    """`name`, `split`, `collection`, `id` of the items of the version."""
    items = selection.items
    names = unique_names(
        items["id"].to_list(),
        items["content"].to_list(),
        items["name"].to_list(),
        [f"-{suffix}" for suffix in SUFFIXES.values()] if request.augmentations else (),
    )
    split = divide(items.select("content", kept="split"), request.split_info)
    return items.select(pl.Series("name", names, dtype=pl.String), split, "collection", "id")


def _told(chunks: Iterator[pl.DataFrame], count: int, on_progress: Progress | None) -> Iterator[pl.DataFrame]:
    done = 0
    for chunk in chunks:
        yield chunk
        done += chunk.height
        if on_progress is not None:
            on_progress(done, count)
