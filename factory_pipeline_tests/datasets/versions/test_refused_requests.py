"""A request for what is not there is told what is, and leaves nothing."""

from typing import Any

import pytest

from factory_pipeline.datasets.request import ItemType
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.plan import check_version
from factory_pipeline.errors import ArgumentError, LakeError
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    box,
    measured,
    request,
)

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""


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


def test_an_empty_lake_is_told(lake: MadeLake) -> None:
    with pytest.raises(LakeError, match="The data lake has no collection yet"):
        create_version(lake.registry, lake.home, request())


def test_missing_tables_are_named(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    (lake.home.root / collection.items_path).unlink()
    with pytest.raises(LakeError, match=r"items\.parquet are missing"):
        create_version(lake.registry, lake.home, request())
