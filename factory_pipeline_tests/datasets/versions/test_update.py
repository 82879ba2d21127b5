"""A version that is made of an earlier one: what it keeps, adds and divides anew."""

from collections import Counter

import pytest

from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.division import Division
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    box,
    labels_of,
    manifest_of,
    request,
)

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""


def test_an_update_keeps_items_splits_and_names_and_adds_what_is_chosen(lake: MadeLake) -> None:
    first = lake.add("first", {f"item{number}": number for number in range(10)})
    lake.annotate(first, [box("item1", "Balloon")])
    thirds = {"train": 60, "test": 20, "validation": 20}
    source = create_version(lake.registry, lake.home, request(split_info=thirds))
    second = lake.add(
        "second", {**{f"new{number}": 20 + number for number in range(10)}, "item1": 99, "again": 3}
    )
    lake.annotate(second, [box("new1", "Balloon"), box("again", "Balloon")])
    update = request(dataset_version_id=source.id, collection_id=second.id, split_info=thirds)
    version = create_version(lake.registry, lake.home, update)
    assert version.number == "1.0.1"
    before, after = manifest_of(lake, source.id), manifest_of(lake, version.id)
    assert {name: after[name]["split"] for name in before} == {
        name: row["split"] for name, row in before.items()
    }
    assert {name: after[name]["id"] for name in before} == {name: row["id"] for name, row in before.items()}
    assert len(after) == 21  # `again` is item3, and the other item1 another image
    assert Counter(row["split"] for row in after.values()) == {"train": 13, "test": 4, "validation": 4}
    labels = labels_of(lake, version.id)
    assert labels["item1"] == labels["item3"] == labels["new1"] == ["Balloon"]
    assert sum(name.startswith("item1-") for name in after) == 1


def test_an_item_that_is_chosen_again_is_annotated_anew_and_the_others_keep_theirs(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2})
    lake.annotate(collection, [box("a", "Balloon"), box("b", "Balloon"), box("b", "Cloud")])
    source = create_version(lake.registry, lake.home, request())
    later = lake.annotate(collection, [box("a", "Balloon", 3), box("b", "Balloon", 3)], "machine")
    only_a = {"op": "=", "args": [{"property": "id"}, "a"]}
    update = request(
        dataset_version_id=source.id,
        collection_id=collection.id,
        query=only_a,
        operation_list=(later.id,),
        is_new_version_required=True,
    )
    version = create_version(lake.registry, lake.home, update)
    assert version.number == "1.1.0"
    places = {
        name: [each["bbox"][0] for each in row["annotations"]]
        for name, row in manifest_of(lake, version.id).items()
    }
    assert places == {"a": [3.0], "b": [1.0]}


def test_a_label_that_is_new_is_looked_up_on_the_items_that_were_there(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2})
    lake.annotate(collection, [box("a", "Balloon"), box("a", "Cloud")])
    source = create_version(lake.registry, lake.home, request())
    only_b = {"op": "=", "args": [{"property": "id"}, "b"]}
    update = request(dataset_version_id=source.id, query=only_b, labels=("Cloud", "Balloon"))
    version = create_version(lake.registry, lake.home, update)
    assert sorted(labels_of(lake, version.id)["a"]) == ["Balloon", "Cloud"]
    fewer = create_version(
        lake.registry, lake.home, request(dataset_version_id=version.id, query=only_b, labels=("Cloud",))
    )
    assert labels_of(lake, fewer.id) == {"a": ["Cloud"], "b": []}
    assert [each.number for each in lake.registry.versions(version.dataset_id)] == ["1.0.0", "1.0.1", "1.0.2"]


def test_names_and_beginnings_of_ids_are_taken_for_ids(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2})
    operation = lake.annotate(collection, [box("a", "Balloon")])
    by_name = request(collection_id="fair", operation_list=(operation.id[:8],))
    first = create_version(lake.registry, lake.home, by_name)
    assert (first.spec["collection_id"], first.spec["operation_list"]) == (collection.id, [operation.id])
    for named in ("Balloons", "Balloons@1.0.0", first.id[:8], f"balloons-1.0.0@{first.id}"):
        version = create_version(lake.registry, lake.home, request(dataset_version_id=named))
        assert version.spec["dataset_version_id"] == version.source_version_id
    numbers = {each.id: each.number for each in lake.registry.versions(first.dataset_id)}
    sources = [each.source_version_id for each in lake.registry.versions(first.dataset_id)[1:]]
    assert [numbers[str(each)] for each in sources] == ["1.0.0", "1.0.0", "1.0.0", "1.0.0"]


def test_an_update_stays_with_the_collections_of_its_source_version(lake: MadeLake) -> None:
    fair = lake.add("fair", {"a": 1, "b": 2})
    lake.add("floods", {"c": 3})
    lake.annotate(fair, [box("a", "Balloon")])
    only_a = {"op": "=", "args": [{"property": "id"}, "a"]}
    source = create_version(lake.registry, lake.home, request(query=only_a))
    within = create_version(
        lake.registry, lake.home, request(dataset_version_id=source.id, within_source=True)
    )
    assert list(manifest_of(lake, within.id)) == ["a", "b"]
    whole = create_version(lake.registry, lake.home, request(dataset_version_id=source.id))
    assert list(manifest_of(lake, whole.id)) == ["a", "b", "c"]


def test_an_update_says_how_many_items_kept_their_split_or_divides_anew(lake: MadeLake) -> None:
    collection = lake.add("fair", {f"item{number}": number for number in range(10)})
    lake.annotate(collection, [box("item1", "Balloon")])
    source = create_version(lake.registry, lake.home, request())
    update = request(dataset_version_id=source.id, split_info={"train": 60, "test": 30, "validation": 10})
    told: list[Division] = []
    create_version(lake.registry, lake.home, update, on_divided=told.append)
    create_version(
        lake.registry, lake.home, update.model_copy(update={"keep_splits": False}), on_divided=told.append
    )
    assert [each.splits for each in told] == [
        {"train": 10, "test": 0, "validation": 0},
        {"train": 6, "test": 3, "validation": 1},
    ]
    assert [(each.kept_split, each.had_split) for each in told] == [(10, 10), (6, 10)]
    assert str(told[0]) == (
        "10 of 10 items of the source version kept their split; train / test / validation is 100 / 0 / 0 %,"
        " asked for 60 / 30 / 10 %"
    )
