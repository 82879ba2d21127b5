"""Moving a registry to another database."""

from pathlib import Path

import pytest

from factory_pipeline.datalake.registry.copy import copy_registry
from factory_pipeline.datalake.registry.records import AnnotationSource, UploadStatus
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import RegistryError
from factory_pipeline_tests.datalake.registry.factories import (
    KEY,
    MANIFEST,
    SPEC,
    add_collection,
    finish,
    numbers,
    ready_dataset,
)


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, Registry]:
    """An SQLite registry with something of everything, and its path."""
    path = tmp_path / "old" / "registry.db"
    registry = Registry.open(path)
    registry.register_upload(KEY, MANIFEST)
    registry.set_status(KEY, UploadStatus.FAILED, reason="Überflutung", code="NO_FILES")
    collection = add_collection(registry)
    registry.add_operation(collection.id, AnnotationSource.HUMAN, path="boxes.parquet")
    first = ready_dataset(registry, "Balloons", (collection.id,))
    with registry.new_version(first.id, SPEC, revision=True) as version:
        finish(registry, version)
    with registry.exporting(version.id, "RAW") as export:
        registry.finish_export(export.id, path="exports/raw", content_hash="h")
    with registry.deleting(ready_dataset(registry, "Floods").id):
        pass
    return path, registry


def test_a_copy_holds_what_the_registry_held(filled: tuple[Path, Registry], where: str) -> None:
    path, before = filled
    copy_registry(path, where)
    after = Registry.open(where)
    assert after.uploads() == before.uploads()
    assert after.collections() == before.collections()
    [collection] = after.collections()
    assert after.operations(collection.id) == before.operations(collection.id)
    [dataset] = after.datasets()
    assert after.versions(dataset.id) == before.versions(dataset.id)
    assert after.version_ids() == before.version_ids()
    last = after.versions(dataset.id)[-1]
    assert after.exports(last.id) == before.exports(last.id)
    with after.new_version(last.id, SPEC, revision=True) as version:
        finish(after, version, (collection.id,))
    assert numbers(after, dataset.id) == ["1.0.0", "1.0.1", "1.0.2"]
    with pytest.raises(RegistryError, match="while versions contain its items"):
        after.delete_collection(collection.id)


def test_a_registry_is_copied_into_an_empty_database_only(filled: tuple[Path, Registry], where: str) -> None:
    Registry.open(where).register_upload(KEY, MANIFEST)
    with pytest.raises(RegistryError, match="already has uploads; use an empty database"):
        copy_registry(filled[0], where)
    assert Registry.open(where).collections() == []


def test_a_registry_that_is_written_to_is_not_copied(filled: tuple[Path, Registry], where: str) -> None:
    path, registry = filled
    with registry.create_dataset("New", SPEC) as version:
        with pytest.raises(RegistryError, match="some versions are being written"):
            copy_registry(path, where)
        finish(registry, version)
    copy_registry(path, where)


def test_a_registry_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"The registry .* does not exist"):
        copy_registry(tmp_path / "wrong.db", tmp_path / "new.db")
    assert not list(tmp_path.iterdir())
