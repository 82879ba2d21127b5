"""Making versions: which items, annotations and splits they have."""

import re
from collections import Counter

import polars as pl
import pytest

from factory_pipeline.datalake.registry.records import VersionState
from factory_pipeline.datalake.tables.schemas import MANIFEST_SCHEMA
from factory_pipeline.datasets.request import DatasetRequest, ItemType
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.manifest import read_header
from factory_pipeline.errors import ArgumentError, RegistryError
from factory_pipeline_tests.datasets.versions.factories import (
    FLIPS,
    MadeLake,
    box,
    labels_of,
    manifest_of,
    mask,
    request,
)

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""


def test_a_version_of_a_collection_has_its_items_with_the_labels_that_were_asked_for(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2, "c": 3}, {"weather": ["sun", "rain", None]})
    operation = lake.annotate(collection, [box("a", "Balloon"), box("a", "Cloud"), box("b", "Cloud")])
    version = create_version(lake.registry, lake.home, request(collection_id=collection.id))
    assert (version.number, version.state) == ("1.0.0", VersionState.READY)
    rows = manifest_of(lake, version.id)
    assert list(rows) == ["a", "b", "c"]
    assert labels_of(lake, version.id) == {"a": ["Balloon"], "b": [], "c": []}
    assert [rows[name]["metadata"] for name in rows] == [{"weather": "sun"}, {"weather": "rain"}, {}]
    assert rows["a"]["annotations"][0]["operation"] == operation.id
    assert rows["a"]["annotations"][0]["source"] == "human"
    assert rows["a"]["collection"] == collection.id
    assert pl.read_parquet_schema(lake.home.version(version.id).manifest) == pl.Schema(MANIFEST_SCHEMA)


def test_the_registry_knows_what_was_asked_and_where_the_items_are_from(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    asked = request(collection_id=collection.id, export_types=("RAW",))
    version = create_version(lake.registry, lake.home, asked)
    assert DatasetRequest.from_json(version.spec) == asked
    assert version.manifest_path == f"versions/{version.id}/manifest.parquet"
    header = read_header(lake.home.version(version.id).manifest)
    assert version.content_hash == header.content_hash
    with pytest.raises(RegistryError, match=r"while versions contain its items: 'Balloons' 1\.0\.0"):
        lake.registry.delete_collection(collection.id)


def test_the_header_of_a_manifest_sums_it_up(lake: MadeLake) -> None:
    collection = lake.add("fair", {name: number for number, name in enumerate("abcde")})
    lake.annotate(collection, [box("a", "Balloon"), box("b", "Balloon", 3), box("b", "Cloud")])
    asked = request(labels=("Cloud", "Balloon"), split_info={"train": 60, "test": 20, "validation": 20})
    version = create_version(lake.registry, lake.home, asked)
    header = read_header(lake.home.version(version.id).manifest)
    assert header.items == {"train": 3, "test": 1, "validation": 1}
    assert header.annotations == {"Cloud": 1, "Balloon": 2}
    assert header.values == {"Cloud": 1, "Balloon": 2}
    assert header.modalities == {"S2": ("B04", "B03", "B02")}
    assert str(header.dated) == "2024-01-05 00:00:00+00:00"


def test_query_and_filter_choose_items(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2, "c": 3}, {"weather": ["sun", "rain", "sun"]})
    lake.annotate(collection, [box("a", "Balloon"), box("b", "Balloon")])
    sunny = request(query={"op": "=", "args": [{"property": "metadata.weather"}, "sun"]})
    version = create_version(lake.registry, lake.home, sunny)
    assert labels_of(lake, version.id) == {"a": ["Balloon"], "c": []}


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


def test_a_collection_that_gave_annotations_alone_is_held_too_and_known_to_updates(lake: MadeLake) -> None:
    first, second = lake.add("first", {"a": 1}), lake.add("second", {"b": 1})
    lake.annotate(second, [mask("b", "Balloon", lake.raster("balloon", 1), 1)])
    source = create_version(lake.registry, lake.home, request())
    third = lake.add("third", {"c": 2})
    update = request(dataset_version_id=source.id, collection_id=third.id)
    version = create_version(lake.registry, lake.home, update)
    assert labels_of(lake, version.id) == {"a": ["Balloon"], "c": []}
    assert set(lake.registry.version_collections(version.id)) == {first.id, second.id, third.id}
    with pytest.raises(RegistryError, match="while versions contain its items"):
        lake.registry.delete_collection(second.id)


def test_items_of_one_collection_stay_two_if_their_images_are_the_same(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 1, "c": 2, "d": 3})
    lake.annotate(collection, [box("a", "Balloon")])
    halves = request(split_info={"train": 50, "test": 50, "validation": 0})
    version = create_version(lake.registry, lake.home, halves)
    rows = manifest_of(lake, version.id)
    assert Counter(row["split"] for row in rows.values()) == {"train": 2, "test": 2}
    assert rows["a"]["split"] == rows["b"]["split"]


def test_items_of_the_same_id_get_names_of_their_own(lake: MadeLake) -> None:
    first = lake.add("first", {"a": 1})
    lake.add("second", {"a": 2})
    lake.annotate(first, [box("a", "Balloon")])
    version = create_version(lake.registry, lake.home, request())
    names = list(manifest_of(lake, version.id))
    assert len(names) == 2
    assert all(name.startswith("a-") for name in names)


def test_collections_are_taken_whole_where_an_item_matches(lake: MadeLake) -> None:
    balloons = lake.add("balloons", {"a": 1, "b": 2})
    lake.add("floods", {"c": 3})
    lake.annotate(balloons, [box("a", "Balloon")])
    asked = request(
        item_type=ItemType.IMAGE_COLLECTION,
        query={"op": "=", "args": [{"property": "annotation.label"}, "Balloon"]},
    )
    version = create_version(lake.registry, lake.home, asked)
    assert list(manifest_of(lake, version.id)) == ["a", "b"]


def test_datasets_are_taken_whole_in_their_latest_version_where_an_item_matches(lake: MadeLake) -> None:
    balloons = lake.add("balloons", {"a": 1, "b": 2, "e": 5})
    floods = lake.add("floods", {"c": 3})
    lake.annotate(balloons, [box("a", "Balloon"), box("b", "Balloon")])
    lake.annotate(floods, [box("c", "Water")])
    only_b = {"op": "=", "args": [{"property": "id"}, "b"]}
    some = request(dataset_name="some", collection_id=balloons.id, query=only_b)
    old = create_version(lake.registry, lake.home, some)
    only_a = {"op": "=", "args": [{"property": "id"}, "a"]}
    create_version(
        lake.registry,
        lake.home,
        request(dataset_version_id=old.id, collection_id=balloons.id, query=only_a),
    )
    create_version(
        lake.registry, lake.home, request(dataset_name="wet", collection_id=floods.id, labels=("Water",))
    )
    named = {"op": "=", "args": [{"property": "collection"}, "some"]}
    asked = request(dataset_name="all", item_type=ItemType.DATASET, query=named)
    version = create_version(lake.registry, lake.home, asked)
    assert list(manifest_of(lake, version.id)) == ["a", "b"]


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


def test_values_of_masks_are_kept_and_counted_once(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2})
    raster = lake.raster("classes", 7)
    lake.annotate(collection, [mask("a", "Water", raster, 7), mask("b", "Land", raster, 0)])
    version = create_version(lake.registry, lake.home, request(labels=("Land", "Water")))
    assert read_header(lake.home.version(version.id).manifest).values == {"Land": 0, "Water": 7}


def test_an_item_that_is_called_like_a_copy_gets_another_name(lake: MadeLake) -> None:
    lake.add("fair", {"a": 1, "a-flip_vertical": 2})
    asked = request(operation_list=(), augmentation_list=FLIPS)
    names = list(manifest_of(lake, create_version(lake.registry, lake.home, asked).id))
    assert names[0] == "a"
    assert re.fullmatch("a-flip_vertical-[0-9a-f]{8}", names[1])
