"""Deleting collections with their tables."""

import shutil
from pathlib import Path

from factory_pipeline.datalake.registry.records import Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home, resolve


def delete_collection(registry: Registry, home: FactoryHome, collection_id: str) -> None:
    """Delete a collection: its tables, the annotations that were added to it, and what was kept for it.

    The images of an upload stay where they are.

    Raises:
        RegistryError: there is no such living collection, or versions have items of it; they are named.
    """
    collection = registry.collection(collection_id)
    registry.delete_collection(collection_id)
    root = resolve(collection.items_path, home).parent
    # Away in one step, so that nothing meets half a collection.
    leaving = root.with_name(f".{root.name}.removed")
    shutil.rmtree(leaving, ignore_errors=True)
    if root.exists():
        root.rename(leaving)
        shutil.rmtree(leaving)


def delete_collection_of_upload(registry: Registry, home: FactoryHome, key: str) -> None:
    """Delete the collection of an upload, if it has one, before its images are deleted.

    Raises:
        RegistryError: versions have items of it; they are named.
    """
    folder = home.upload(key).finished.root
    for collection in registry.collections():
        if collection.source is CollectionSource.UPLOAD and _lies_in(collection, folder, home):
            delete_collection(registry, home, collection.id)


def _lies_in(collection: Collection, folder: Path, home: FactoryHome) -> bool:
    """Whether the images of a collection lie in a folder."""
    path = resolve(collection.items_path, home)
    if not path.exists():
        return False
    media = scan_items(path).select("media").head(1).collect()["media"].explode()
    start = f"{relative_to_home(folder, home)}/"
    return any(medium["path"].startswith(start) for medium in media.to_list())
