"""Requests of versions: which arguments are allowed, and what the error says of one that is not."""

import json
import math
from typing import Any

import numpy as np
import pytest

from factory_pipeline.datasets.request import DatasetRequest, ItemType
from factory_pipeline.errors import ArgumentError

GIVEN: dict[str, Any] = {
    "dataset_name": "Balloons Dataset",
    "collection_id": "c1",
    "split_info": {"train": 60, "test": 20, "validation": 20},
    "labels": ["Balloon"],
}
ROTATION = {
    "IMAGE_LEVEL": [{"id": "IMAGE_ROTATION", "properties": [{"id": "PERCENTAGE_SCALE", "values": [30, -10]}]}]
}


def made(**more: Any) -> DatasetRequest:
    return DatasetRequest.of(**(GIVEN | more))


def test_only_name_split_and_labels_must_be_given() -> None:
    request = made()
    assert (request.dataset_name, request.dataset_version_id) == ("Balloons Dataset", None)
    assert (request.collection_id, request.item_type) == ("c1", ItemType.IMAGE)
    assert (request.export_types, request.query, request.conditions, request.filter) == ([], "", {}, {})
    assert (request.operation_list, request.augmentations) == (None, ())
    assert request.is_new_version_required is False


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"query": "annotation.label=Balloon and not metadata.Tags=water"},
        {"filter": {"from_date": "2024-01-01", "bbox": (1, 2, 3.5, 4), "to_date": None}},
        {"operation_list": ["o1", "o2"], "export_types": ["RAW"]},
        {"operation_list": [], "augmentation_list": ROTATION},
        {"split_info": {"train": np.float32(62.5), "test": np.int64(37), "validation": 0.5}},
        {"is_new_version_required": True},
    ],
)
def test_a_request_is_the_same_after_its_way_through_json(more: dict[str, Any]) -> None:
    request = made(**more)
    stored = json.loads(json.dumps(request.model_dump(mode="json")))
    assert DatasetRequest.from_json(stored) == request
    assert DatasetRequest.of(**json.loads(json.dumps(request.arguments()))) == request


def test_an_update_names_its_source_and_a_call_on_the_lake_no_collection() -> None:
    given = {key: GIVEN[key] for key in ("split_info", "labels")} | {"item_type": "dataset"}
    update = DatasetRequest.of(dataset_version_id=" v1 ", **given)
    assert DatasetRequest.from_json(update.model_dump(mode="json")) == update
    assert update.item_type == ItemType.DATASET
    assert (update.dataset_name, update.dataset_version_id, update.collection_id) == (None, "v1", None)


def test_values_that_users_of_the_first_sdk_give_are_accepted() -> None:
    assert made(labels=[]).labels == []
    filter = {"annotation_types": [], "from_date": "", "to_date": " ", "bbox": [], "geometry": {}}
    assert made(filter=filter).filter == {}
    assert made(filter=filter | {"from_date": "2024-01-01"}).filter == {"from_date": "2024-01-01"}
    given = {key: GIVEN[key] for key in ("dataset_name", "split_info", "labels")}
    kinds = {
        "Image": ItemType.IMAGE,
        "IMAGE_COLLECTION": ItemType.IMAGE_COLLECTION,
        "Dataset": ItemType.DATASET,
    }
    for told, kind in kinds.items():
        assert DatasetRequest.of(item_type=told, **given).item_type == kind


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset_name": None}, "dataset_name is None; name a new dataset, or the version to update by"),
        ({"dataset_version_id": "v1"}, "dataset_version_id is 'v1'; an update has no dataset_name"),
        ({"within_source": True}, "within_source is True; it is for an update without a collection_id"),
        ({"labels": None}, "labels is None; it must be given."),
        ({"colour": "red"}, "colour is 'red'; the arguments are dataset_name, dataset_version_id, "),
    ],
)
def test_a_configuration_must_fit_together(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError) as told:
        DatasetRequest.from_json(GIVEN | arguments)
    assert message in str(told.value)


def test_a_set_has_the_order_of_its_names() -> None:
    assert made(export_types={"YOLO Darknet", "RAW", "COCO"}).export_types == ["COCO", "RAW", "YOLO Darknet"]


def test_the_short_form_of_a_query_becomes_cql2() -> None:
    assert made(query="annotation.label=Balloon").conditions == {
        "op": "=",
        "args": [{"property": "annotation.label"}, "Balloon"],
    }


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"dataset_name": ""}, "dataset_name is ''; it must be a text that is not empty."),
    ({"dataset_name": None}, "dataset_name is None; it must be a text that is not empty."),
    ({"collection_id": None}, "collection_id is None; it must be a text that is not empty."),
    ({"dataset_version_id": 7}, "dataset_version_id is 7; it must be a text that is not empty."),
    ({"split_info": [60, 20, 20]}, "split_info is [60, 20, 20]; it must be a mapping with the percentages"),
    ({"split_info": {}}, "split_info is {}; it must be a mapping with the percentages"),
    ({"split_by": {"by": "column", "column": "year", "train": [1]}}, "split_by decides the splits; leave"),
    ({"split_info": {"train": 60, "test": 40}}, "of train, test, validation, and validation is missing."),
    (
        {"split_info": {"train": 60, "test": 40, "val": 0}},
        "split_info.val is 0; the only keys are train, test",
    ),
    (
        {"split_info": {"train": 60, "test": 20, "validation": 10}},
        "the percentages must sum to 100, not to 90.",
    ),
    ({"split_info": {"train": 110, "test": -10, "validation": 0}}, "split_info.train is 110; it must be"),
    ({"split_info": {"train": "60", "test": 20, "validation": 20}}, "split_info.train is '60'; it must be"),
    ({"split_info": {"train": True, "test": 99, "validation": 0}}, "split_info.train is True; it must be"),
    ({"split_info": {"train": math.nan, "test": 50, "validation": 50}}, "split_info.train is nan; it must"),
    ({"labels": "Balloon"}, "labels is 'Balloon'; it must be a list, such as ['Balloon']."),
    ({"labels": {"Balloon"}}, "labels is {'Balloon'}; it must be a list, as its order is"),
    ({"labels": None}, "labels is None; it must be a list of texts, such as ['...']."),
    ({"labels": ["Balloon", " "]}, "labels[1] is ' '; it must be a text that is not empty."),
    ({"labels": ["Balloon", 3]}, "labels[1] is 3; it must be a text that is not empty."),
    ({"labels": ["a", "b", "a"]}, "labels[2] is 'a'; it occurs twice; remove one."),
    ({"export_types": ["Raw"]}, "export_types[0] is 'Raw'; it must be one of 'RAW', 'YOLO Darknet', 'Sem"),
    ({"export_types": "RAW"}, "export_types is 'RAW'; it must be a list of any of 'RAW', 'YOLO Darknet'"),
    (
        {"item_type": "images"},
        "item_type is 'images'; it must be one of 'image', 'image_collection', 'dataset'.",
    ),
    ({"item_type": "dataset"}, "item_type is 'dataset'; of given collections, images are chosen; "),
    ({"item_type": []}, "item_type is []; it must be one of"),
    ({"operation_list": "o1"}, "operation_list is 'o1'; it must be a list of texts, such as ['...']."),
    ({"operation_list": ["o1", None]}, "operation_list[1] is None; it must be a text that is not empty."),
    ({"is_new_version_required": "yes"}, "is_new_version_required is 'yes'; it must be True or False."),
    ({"query": 5}, "query is 5; "),
    ({"query": "label ="}, "query is 'label ='; "),
    ({"filter": {"since": "2024"}}, "filter.since is '2024'; "),
    ({"filter": "raw"}, "filter is 'raw'; "),
    ({"augmentation_list": {"IMAGE": []}}, "augmentation_list"),
]


@pytest.mark.parametrize(("more", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_a_mistake_is_told_with_what_is_allowed(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError) as told:
        made(**more)
    assert message in str(told.value)
