"""Which annotations the items of a version have."""

import pytest

from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    box,
    labels_of,
    manifest_of,
    request,
)

pytestmark = pytest.mark.integration


def test_operations_are_chosen_by_id(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    people = lake.annotate(collection, [box("a", "Balloon")])
    model = lake.annotate(collection, [box("a", "Balloon", 3.5, confidence=0.5)], "machine")

    def operations(name: str, chosen: tuple[str, ...] | None) -> list[str]:
        asked = request(dataset_name=name, operation_list=chosen)
        version = create_version(lake.registry, lake.home, asked)
        return [each["operation"] for each in manifest_of(lake, version.id)["a"]["annotations"]]

    assert operations("all", None) == [people.id, model.id]
    assert operations("model", (model.id,)) == [model.id]
    assert operations("none", ()) == []


def test_what_two_operations_say_alike_is_said_once(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    model = lake.annotate(collection, [box("a", "Balloon"), box("a", "Balloon", 4)], "machine")
    people = lake.annotate(collection, [box("a", "Balloon"), box("a", "Balloon", 2)])
    version = create_version(lake.registry, lake.home, request())
    said = manifest_of(lake, version.id)["a"]["annotations"]
    assert [(each["operation"], each["bbox"][0]) for each in said] == [
        (people.id, 1),
        (people.id, 2),
        (model.id, 4),
    ]


def test_an_image_of_two_collections_is_taken_once_with_the_annotations_of_both(lake: MadeLake) -> None:
    first, second = lake.add("first", {"a": 1, "b": 2}), lake.add("second", {"c": 2, "d": 3})
    lake.annotate(first, [box("b", "Balloon")])
    lake.annotate(second, [box("c", "Balloon", 3), box("d", "Balloon")])
    version = create_version(lake.registry, lake.home, request())
    assert labels_of(lake, version.id) == {"a": [], "b": ["Balloon", "Balloon"], "d": ["Balloon"]}


def test_no_labels_mean_all_labels_of_the_chosen_annotations(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2})
    lake.annotate(collection, [box("a", "Cloud"), box("b", "Balloon")])
    version = create_version(lake.registry, lake.home, request(labels=()))
    assert labels_of(lake, version.id) == {"a": ["Cloud"], "b": ["Balloon"]}
    assert version.spec["labels"] == ["Balloon", "Cloud"]
    with pytest.raises(ArgumentError, match=r"labels is \[\]; empty means all, but the chosen items have no"):
        create_version(lake.registry, lake.home, request(dataset_name="x", labels=(), operation_list=()))


def test_images_without_annotations_may_have_any_labels(lake: MadeLake) -> None:
    lake.add("fair", {"a": 1})
    raw = request(filter={"annotation_types": ["raw"]}, labels=("Balloon", "Cloud"))
    version = create_version(lake.registry, lake.home, raw)
    assert labels_of(lake, version.id) == {"a": []}
