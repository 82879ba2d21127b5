"""Making versions: which items, annotations and splits they have."""

import re
from collections import Counter

import polars as pl
import pytest

from factory_pipeline.datalake.registry.records import VersionState
from factory_pipeline.datalake.tables.schemas import MANIFEST_SCHEMA
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.errors import RegistryError
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


def test_query_and_filter_choose_items(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2, "c": 3}, {"weather": ["sun", "rain", "sun"]})
    lake.annotate(collection, [box("a", "Balloon"), box("b", "Balloon")])
    sunny = request(query={"op": "=", "args": [{"property": "metadata.weather"}, "sun"]})
    version = create_version(lake.registry, lake.home, sunny)
    assert labels_of(lake, version.id) == {"a": ["Balloon"], "c": []}


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


def test_an_item_that_is_called_like_a_copy_gets_another_name(lake: MadeLake) -> None:
    lake.add("fair", {"a": 1, "a-flip_vertical": 2})
    asked = request(operation_list=(), augmentation_list=FLIPS)
    names = list(manifest_of(lake, create_version(lake.registry, lake.home, asked).id))
    assert names[0] == "a"
    assert re.fullmatch("a-flip_vertical-[0-9a-f]{8}", names[1])
