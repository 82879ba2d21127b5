"""Collections and the annotations on them."""

import pytest

from factory_pipeline.datalake.registry.records import AnnotationSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import RegistryError
from factory_pipeline_tests.datalake.registry.factories import add_collection, ready_dataset


def test_collections_are_listed_in_the_order_in_which_they_came(registry: Registry) -> None:
    added = [add_collection(registry, name) for name in ("b", "a")]
    assert registry.collections() == added
    assert registry.collection(added[0].id) == added[0]


def test_the_same_content_of_the_same_name_is_one_collection(registry: Registry) -> None:
    first = add_collection(registry, content_hash="1")
    assert add_collection(registry, content_hash="1") == first
    assert add_collection(registry, content_hash="2") != first
    registry.delete_collection(first.id)
    assert add_collection(registry, content_hash="1").id != first.id


def test_a_deleted_collection_is_known_by_its_id_only(registry: Registry) -> None:
    collection = add_collection(registry)
    registry.delete_collection(collection.id)
    assert registry.collections() == []
    assert registry.collections(with_deleted=True) == [registry.collection(collection.id)]
    with pytest.raises(RegistryError, match="is deleted"):
        registry.delete_collection(collection.id)


def test_a_collection_outlives_the_versions_that_have_items_of_it(registry: Registry) -> None:
    collection = add_collection(registry)
    version = ready_dataset(registry, "Balloons", (collection.id, collection.id))
    assert registry.version_collections(version.id) == [collection.id]
    with pytest.raises(RegistryError, match=r"while versions contain its items: 'Balloons' 1\.0\.0"):
        registry.delete_collection(collection.id)
    with registry.deleting(version.id):
        pass
    registry.delete_collection(collection.id)
    assert registry.collections() == []


def test_a_version_cant_be_finished_on_a_collection_that_is_gone(registry: Registry) -> None:
    collection = add_collection(registry)
    registry.delete_collection(collection.id)
    with pytest.raises(RegistryError, match="is deleted, so it can't be used"):
        ready_dataset(registry, "Balloons", (collection.id,))
    assert registry.datasets() == []


def test_operations_belong_to_a_living_collection(registry: Registry) -> None:
    collection = add_collection(registry)
    added = [
        registry.add_operation(collection.id, source, path=f"annotations/{source}.parquet")
        for source in (AnnotationSource.MACHINE, AnnotationSource.HUMAN)
    ]
    assert registry.operations(collection.id) == added
    registry.delete_collection(collection.id)
    with pytest.raises(RegistryError, match="is deleted"):
        registry.add_operation(collection.id, AnnotationSource.HUMAN, path="late.parquet")


def test_the_same_annotations_of_the_same_source_are_one_operation(registry: Registry) -> None:
    collection, other = add_collection(registry), add_collection(registry, "floods")
    first = registry.add_operation(collection.id, AnnotationSource.HUMAN, path="boxes.parquet")
    assert registry.add_operation(collection.id, AnnotationSource.HUMAN, path="boxes.parquet") == first
    registry.add_operation(collection.id, AnnotationSource.MACHINE, path="boxes.parquet")
    registry.add_operation(other.id, AnnotationSource.HUMAN, path="boxes.parquet")
    assert [operation.source for operation in registry.operations(collection.id)] == ["human", "machine"]
    assert len(registry.operations(other.id)) == 1


def test_annotations_are_registered_with_their_collection_or_neither_is(registry: Registry) -> None:
    labels = {"b.parquet": AnnotationSource.HUMAN, "a.parquet": AnnotationSource.MACHINE}
    first = add_collection(registry, content_hash="1", annotations=labels)
    assert {each.path: each.source for each in registry.operations(first.id)} == labels
    assert add_collection(registry, content_hash="1", annotations=labels) == first
    assert len(registry.operations(first.id)) == 2
    bare = add_collection(registry, content_hash="2")
    assert add_collection(registry, content_hash="2", annotations=labels) == bare
    assert len(registry.operations(bare.id)) == 2
    with pytest.raises(ValueError, match="nobody"):
        add_collection(registry, content_hash="3", annotations={"a.parquet": "nobody"})
    assert registry.collections() == [first, bare]


def test_an_unknown_collection_is_an_error_that_names_it(registry: Registry) -> None:
    for call in (registry.collection, registry.delete_collection):
        with pytest.raises(RegistryError, match="no collection 'nowhere'"):
            call("nowhere")
