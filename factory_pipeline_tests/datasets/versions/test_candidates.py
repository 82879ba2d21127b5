"""Which collections, operations and datasets a request is about."""

from typing import Any

import pytest

from factory_pipeline.datasets.request import ItemType
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.errors import ArgumentError, LakeError
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    box,
    manifest_of,
    measured,
    request,
)

pytestmark = pytest.mark.integration


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
            "none of 2 items of the collection 'fair' matches it",
        ),
        (
            {"filter": {"from_date": "2030-01-01"}},
            "none of 2 items of the collection 'fair' matches it",
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


def test_an_empty_lake_is_told(lake: MadeLake) -> None:
    with pytest.raises(LakeError, match="The data lake has no collection yet"):
        create_version(lake.registry, lake.home, request())


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
