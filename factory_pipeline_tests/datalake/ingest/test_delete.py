"""Deleting collections, and uploads that are collections."""

from contextlib import closing
from pathlib import Path

import pytest

from factory_pipeline.datalake.ingest.delete import delete_collection, delete_collection_of_upload
from factory_pipeline.datalake.ingest.from_upload import collect_upload
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import RegistryError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.datalake.ingest.conftest import Onboarded
from factory_pipeline_tests.datalake.ingest.factories import collection_of, picture, tables_in
from factory_pipeline_tests.datalake.registry.factories import ready_dataset
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.uploads import pairs


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    return FactoryHome(tmp_path / "home")


def test_a_deleted_collection_leaves_a_tombstone_and_no_files(registry: Registry, home: FactoryHome) -> None:
    first = collection_of(registry, home, picture("one"))
    other = collection_of(registry, home, picture("two"))
    delete_collection(registry, home, first.id)
    assert [collection.id for collection in registry.collections()] == [other.id]
    assert {name.split("/")[0] for name in tables_in(home)} == {f"made-{other.content_hash[:8]}"}


def test_only_the_collection_of_the_upload_is_deleted(onboarded: Onboarded, registry: Registry) -> None:
    kept, gone = (
        collect_upload(registry, onboarded.home, onboarded.keys[name]) for name in ("classes", "generic")
    )
    delete_collection_of_upload(registry, onboarded.home, onboarded.keys["generic"])
    assert [collection.id for collection in registry.collections()] == [kept.id]
    assert not resolve(gone.items_path, onboarded.home).parent.exists()
    assert collect_upload(registry, onboarded.home, onboarded.keys["generic"]).id != gone.id


def test_a_collection_of_a_version_is_kept_and_the_version_named(
    onboarded: Onboarded, registry: Registry
) -> None:
    collection = collect_upload(registry, onboarded.home, onboarded.keys["plots"])
    ready_dataset(registry, "Fields", (collection.id,))
    message = f"The collection {collection.id} can't be deleted while .*: 'Fields' 1.0.0"
    with pytest.raises(RegistryError, match=message):
        delete_collection(registry, onboarded.home, collection.id)
    with pytest.raises(RegistryError, match=message):
        delete_collection_of_upload(registry, onboarded.home, onboarded.keys["plots"])
    assert resolve(collection.items_path, onboarded.home).exists()


@pytest.mark.integration
def test_an_upload_is_deleted_with_its_collection_but_not_while_a_version_has_its_images(
    home: FactoryHome,
) -> None:
    import dagster as dg  # the other tests need none

    from factory_pipeline.runs.onboarding import remove

    with dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(home, instance)
        key, other = bench.prepare("rivers", pairs(4)), bench.prepare("lakes", pairs(5))
        with closing(bench.factory.registry()) as registry:
            rivers, lakes = registry.collections()
            version = ready_dataset(registry, "Rivers", (rivers.id,))
            with pytest.raises(RegistryError, match=r"'Rivers' 1\.0\.0"):
                remove(key, home)
            assert home.upload(key).finished.items.exists()
            assert bench.upload(key).status is UploadStatus.SUCCEEDED
            with registry.deleting(version.id):
                pass
            remove(key, home)
            assert registry.collections() == [lakes]
        assert {name.split("/")[0] for name in tables_in(home)} == {f"lakes-{lakes.content_hash[:8]}"}
        assert (home.upload(key).finished.root.exists(), home.upload(other).finished.root.exists()) == (
            False,
            True,
        )
