"""Making versions: which items, annotations and splits they have."""

import multiprocessing
import os
import re
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory_pipeline.datalake.registry.records import VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.schemas import MANIFEST_SCHEMA
from factory_pipeline.datasets.request import DatasetRequest, ItemType
from factory_pipeline.datasets.versions import create
from factory_pipeline.datasets.versions.create import create_version, sweep_unfinished
from factory_pipeline.datasets.versions.division import Division
from factory_pipeline.datasets.versions.manifest import read_header
from factory_pipeline.datasets.versions.plan import check_version
from factory_pipeline.errors import ArgumentError, LakeError, RegistryError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.registry.factories import let_leases_run_out
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    box,
    labels_of,
    manifest_of,
    mask,
    measured,
    request,
)

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

FLIPS = {"IMAGE_LEVEL": [{"id": "FLIP_IMAGE", "properties": [{"id": "FLIP_VERTICAL", "values": [True]}]}]}

on_both = pytest.mark.parametrize(
    "where", ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)], indirect=True
)


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


def test_a_version_made_twice_has_the_same_bytes(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2}, {"weather": ["sun", "rain"]})
    lake.annotate(collection, [box("a", "Balloon"), box("b", "Balloon")])
    made = [create_version(lake.registry, lake.home, request(dataset_name=name)) for name in ("one", "other")]
    assert made[0].content_hash == made[1].content_hash
    first, second = (lake.home.version(version.id).manifest.read_bytes() for version in made)
    assert first == second


def test_the_hash_is_the_same_in_another_home_and_of_the_content_alone(
    lake: MadeLake, other_lake: MadeLake
) -> None:
    def made(home: MadeLake, name: str = "Balloons", **more: Any) -> str | None:
        return create_version(home.registry, home.home, request(dataset_name=name, **more)).content_hash

    def fill(home: MadeLake, *, upside_down: bool) -> None:
        collection = home.add("fair", {"a": 1, "b": 2})
        model = ([box("a", "Balloon", 3)], "machine")
        operations = [([box("a", "Balloon")], "human"), ([box("b", "Balloon")], "human"), model]
        for rows, source in reversed(operations) if upside_down else operations:
            home.annotate(collection, rows, source)

    fill(lake, upside_down=False)
    fill(other_lake, upside_down=True)
    assert made(lake) == made(other_lake)
    different = [
        made(lake, "1", split_info={"train": 0, "test": 100, "validation": 0}),
        made(lake, "2", operation_list=()),
        made(lake, "3", augmentation_list=FLIPS),
        made(lake, "4", query={"op": "=", "args": [{"property": "id"}, "a"]}),
    ]
    assert len({made(lake, "5"), *different}) == 5


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"collection_id": "fare"},
            r"collection_id is 'fare'; it must be the name or id of a collection, such as \w+ \('fair'\)",
        ),
        (
            {"labels": ("Ballon",)},
            r"labels\[0\] is 'Ballon'; no chosen annotation .* they have 'Balloon', 'Cloud'",
        ),
        ({"labels": ("Balloon", "Depth", "Height")}, "'Depth', 'Height' are measured values each"),
        ({"operation_list": ("x",)}, r"operation_list\[0\] is 'x'; .* there are \w+ \(human, of 'fair'\)"),
        ({"dataset_version_id": "x"}, "dataset_version_id is 'x'; it must be the id of a version"),
        ({"item_type": ItemType.DATASET}, "no dataset has a ready version yet"),
        (
            {"query": {"op": "=", "args": [{"property": "id"}, "z"]}},
            "none of the 2 items of the collection 'fair' matches it",
        ),
        (
            {"filter": {"from_date": "2030-01-01"}},
            "none of the 2 items of the collection 'fair' matches it",
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_is(lake: MadeLake, asked: dict[str, Any], message: str) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2})
    raster = lake.raster("depth", 1.5, "float32")
    lake.annotate(collection, [box("a", "Balloon"), box("b", "Cloud")])
    lake.annotate(collection, [measured("a", "Depth", raster), measured("a", "Height", raster)])
    labels = asked.get("labels", ("Balloon",))
    with pytest.raises(ArgumentError, match=message):
        create_version(lake.registry, lake.home, request(**{"labels": labels} | asked))
    assert lake.registry.datasets() == []
    assert not list(lake.home.root.glob("versions/*"))


def test_no_labels_mean_all_labels_of_the_chosen_annotations(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2})
    lake.annotate(collection, [box("a", "Cloud"), box("b", "Balloon")])
    version = create_version(lake.registry, lake.home, request(labels=()))
    assert labels_of(lake, version.id) == {"a": ["Cloud"], "b": ["Balloon"]}
    assert version.spec["labels"] == ["Balloon", "Cloud"]
    with pytest.raises(ArgumentError, match=r"labels is \[\]; empty means all, but the chosen items have no"):
        create_version(lake.registry, lake.home, request(dataset_name="x", labels=(), operation_list=()))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "annotation.label=Ballon and not split=train",
            "query is 'annotation.label=Ballon and not split=train'; none of the 2 items of the collection"
            " 'fair' matches it; no annotation.label is 'Ballon'; there is 'Balloon'.",
        ),
        (
            "metadata.wether=sun",
            "query is 'metadata.wether=sun'; none of the 2 items of the collection 'fair' matches it;"
            " no item has metadata.wether; there is metadata.weather, metadata.tags.",
        ),
        (
            "metadata.tags in ('windi', 'hail')",
            "query is \"metadata.tags in ('windi', 'hail')\"; none of the 2 items of the collection 'fair'"
            " matches it; no metadata.tags is 'windi'; there is 'windy'; no metadata.tags is 'hail';"
            " there is 'dry', 'windy'.",
        ),
    ],
)
def test_a_query_without_a_match_is_told_as_it_was_written_with_near_names(
    lake: MadeLake, query: str, message: str
) -> None:
    metadata = {"weather": ["sun", "rain"], "tags": ["windy", "dry"]}
    collection = lake.add("fair", {"a": 1, "b": 2}, metadata)
    lake.annotate(collection, [box("a", "Balloon")])
    asked = request(query=query)
    with pytest.raises(ArgumentError) as told:
        check_version(lake.registry, lake.home, asked)
    assert str(told.value) == message


def test_a_check_writes_nothing_and_names_a_name_that_is_taken(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    check_version(lake.registry, lake.home, request())
    assert lake.registry.datasets() == []
    assert not lake.home.versions.exists()
    create_version(lake.registry, lake.home, request())
    with pytest.raises(ArgumentError, match="dataset_name is 'Balloons'; this name is in use"):
        check_version(lake.registry, lake.home, request())


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


def test_images_without_annotations_may_have_any_labels(lake: MadeLake) -> None:
    lake.add("fair", {"a": 1})
    raw = request(filter={"annotation_types": ["raw"]}, labels=("Balloon", "Cloud"))
    version = create_version(lake.registry, lake.home, raw)
    assert labels_of(lake, version.id) == {"a": []}


def test_an_empty_lake_is_told(lake: MadeLake) -> None:
    with pytest.raises(LakeError, match="The data lake has no collection yet"):
        create_version(lake.registry, lake.home, request())


def test_an_error_on_the_way_leaves_nothing(lake: MadeLake, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(create, "write_manifest", full)
    with pytest.raises(OSError, match="No space left"):
        create_version(lake.registry, lake.home, request())
    assert lake.registry.datasets() == []
    assert not list(lake.home.versions.iterdir())


def test_missing_tables_are_named(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    (lake.home.root / collection.items_path).unlink()
    with pytest.raises(LakeError, match=r"items\.parquet are missing"):
        create_version(lake.registry, lake.home, request())


def test_progress_ends_at_all_items(lake: MadeLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory_pipeline.datasets.versions.manifest_rows.CHUNK", 2)
    collection = lake.add("fair", {"a": 1, "b": 2, "c": 3})
    lake.annotate(collection, [box("c", "Balloon")])
    told: list[tuple[int, int]] = []
    version = create_version(
        lake.registry, lake.home, request(), lambda done, count: told.append((done, count))
    )
    assert told == [(2, 3), (3, 3)]
    assert labels_of(lake, version.id) == {"a": [], "b": [], "c": ["Balloon"]}


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


@on_both
def test_two_writers_of_one_name_make_one_dataset(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])

    def made(_: int) -> str:
        try:
            return create_version(lake.registry, lake.home, request()).number
        except RegistryError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        number, *refused = sorted(pool.map(made, range(3)))
    assert number == "1.0.0"
    assert all("The dataset name 'Balloons' is in use" in each for each in refused)
    assert len(list(lake.home.versions.iterdir())) == 1


def _update(home: Path, where: str, source_id: str) -> str:
    asked = request(dataset_version_id=source_id)
    return create_version(Registry.open(where), FactoryHome(home), asked).number


@pytest.mark.integration
@on_both
def test_updates_in_several_processes_at_once_all_succeed(lake: MadeLake, where: str) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    source = create_version(lake.registry, lake.home, request())
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        numbers = pool.starmap(_update, [(lake.home.root, where, source.id)] * 3)
    assert sorted(numbers) == ["1.0.1", "1.0.2", "1.0.3"]


def _killed_while_writing(home: Path, where: str) -> None:
    def stop(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    create.write_manifest = stop  # type: ignore[assignment]
    create_version(Registry.open(where), FactoryHome(home), request())


@pytest.mark.integration
@on_both
def test_what_a_killed_writer_left_is_swept_once_its_lease_has_run_out(lake: MadeLake, where: str) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    process = multiprocessing.get_context("spawn").Process(
        target=_killed_while_writing, args=(lake.home.root, where)
    )
    process.start()
    process.join()
    [left] = lake.home.versions.iterdir()
    sweep_unfinished(lake.registry, lake.home)
    assert left.exists(), "it may be at work"
    let_leases_run_out(where)
    version = create_version(lake.registry, lake.home, request())
    assert [folder.name for folder in lake.home.versions.iterdir()] == [version.id]


def test_finished_versions_of_another_registry_are_not_swept(lake: MadeLake, tmp_path: Path) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    version = create_version(lake.registry, lake.home, request())
    other = Registry.open(tmp_path / "other.db")
    sweep_unfinished(other, lake.home)
    other.close()
    assert lake.home.version(version.id).manifest.exists()
