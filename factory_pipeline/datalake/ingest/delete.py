"""Deleting collections with their tables."""

from contextlib import suppress
from pathlib import Path, PurePosixPath

from factory_pipeline.datalake.registry.records import Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.errors import RegistryError
from factory_pipeline.storage.folders import remove_folder
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home, resolve


def delete_collection(registry: Registry, home: FactoryHome, collection_id: str) -> None:
    """Delete a collection: its tables, the annotations that were added to it, and its copies of fused files.

    The images of an upload are not deleted; those of an imported release are.

    Args:
        registry: contains the collection.
        home: contains its files.
        collection_id: of a collection that is not deleted.

    Raises:
        RegistryError: the collection does not exist or is deleted, or versions contain items of it; the
            message names them.
    """
    collection = registry.collection(collection_id)
    release = _release_of(collection, home)
    registry.delete_collection(collection_id)
    if release is not None:
        with suppress(RegistryError):
            registry.delete_upload(release)
        home.release(release).drop()
    remove_folder(resolve(collection.items_path, home).parent)


def delete_collection_of_upload(registry: Registry, home: FactoryHome, key: str) -> None:
    """Delete the collection of an upload or a release, if it has one, before its images are deleted.

    Args:
        registry: contains the collection.
        home: contains the images.
        key: of the upload or the release.

    Raises:
        RegistryError: versions contain items of it; the message names them.
    """
    folders = {
        CollectionSource.UPLOAD: home.upload(key).finished.root,
        CollectionSource.RELEASE: home.release(key).root,
    }
    for collection in registry.collections():
        folder = folders.get(collection.source)
        if folder is not None and _is_in_folder(collection, folder, home):
            delete_collection(registry, home, collection.id)


def _is_in_folder(collection: Collection, folder: Path, home: FactoryHome) -> bool:
    """Return whether the images of a collection are in a folder."""
    start = f"{relative_to_home(folder, home)}/"
    return any(path.startswith(start) for path in _first_images(collection, home))


def _release_of(collection: Collection, home: FactoryHome) -> str | None:
    """The key of the release that a collection is of; None for other collections."""
    if collection.source is not CollectionSource.RELEASE:
        return None
    return next((PurePosixPath(path).parts[1] for path in _first_images(collection, home)), None)


def _first_images(collection: Collection, home: FactoryHome) -> list[str]:
    """Paths of the images of the first item."""
    path = resolve(collection.items_path, home)
    if not path.exists():
        return []
    media = scan_items(path).select("media").head(1).collect()["media"].explode()
    return [medium["path"] for medium in media.to_list()]
