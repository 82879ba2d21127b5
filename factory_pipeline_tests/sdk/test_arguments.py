"""What no call allows: it is named with what is allowed, before any work."""

from pathlib import Path
from typing import Any

import pytest

from factory_pipeline import DatasetClient
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datasets.augment.requests import RANGES, SWITCHES

SPLIT = {"train": 60, "test": 20, "validation": 20}
USUAL: dict[str, Any] = {
    "dataset_name": "Wrong",
    "collection_id": "c",
    "split_info": SPLIT,
    "labels": ["Water"],
}


def silent(home: Path) -> DatasetClient:
    return DatasetClient(home=home, on_progress=lambda *_: None)


def refused(home: Path, **changes: Any) -> str:
    """What the error says; the home is not even made."""
    with pytest.raises(ArgumentError) as told:
        silent(home).create_dataset_from_collection(**USUAL | changes)
    assert not home.exists()
    return str(told.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"split_info": {"train": 100}},
            "split_info is {'train': 100}; it must be a mapping with the percentages of train, test, "
            "validation, and test is missing.",
        ),
        (
            {"split_info": SPLIT | {"val": 0}},
            "split_info.val is 0; the only keys are train, test, validation.",
        ),
        (
            {"split_info": {"train": -10, "test": 100, "validation": 10}},
            "split_info.train is -10; it must be a number from 0 to 100.",
        ),
        ({"split_info": SPLIT | {"train": "60"}}, "split_info.train is '60'; it must be a number"),
        ({"split_info": SPLIT | {"train": float("nan")}}, "split_info.train is nan; it must be a number"),
        ({"split_info": [60, 20, 20]}, "split_info is [60, 20, 20]; it must be a mapping"),
        ({"labels": "Water"}, "labels is 'Water'; it must be a list, such as ['Water']."),
        ({"labels": ["Water", "Water"]}, "labels[1] is 'Water'; it occurs twice; remove one."),
        ({"labels": ["Water", 3]}, "labels[1] is 3; it must be a text that is not empty."),
        ({"labels": None}, "labels is None; it must be a list"),
        ({"export_types": "RAW"}, "export_types is 'RAW'; it must be a list of any of 'RAW', 'YOLO Darknet'"),
        ({"export_types": ["RAW", "raw"]}, "export_types[1] is 'raw'; it must be one of 'RAW', "),
        ({"dataset_name": ""}, "dataset_name is ''; it must be a text that is not empty."),
        ({"dataset_name": None}, "dataset_name is None; it must be a text that is not empty."),
        ({"collection_id": ""}, "collection_id is ''; it must be a text that is not empty."),
        ({"operation_list": "abc"}, "operation_list is 'abc'; it must be a list of texts"),
        ({"filter": {"annotations": ["raw"]}}, "filter.annotations is ['raw']; a filter has any of"),
        ({"filter": {"annotation_types": ["rough"]}}, "filter.annotation_types[0] is 'rough'"),
        (
            {"filter": {"from_date": "2024-02-01", "to_date": "2024-01-01"}},
            "filter.to_date is '2024-01-01'; it must not be before from_date",
        ),
        ({"filter": {"bbox": [0, 0, 10]}}, "filter.bbox is [0, 0, 10]"),
        ({"query": "metadata.agbd >"}, "query is 'metadata.agbd >'"),
        ({"query": "colour=red"}, "colour"),
        (
            {"augmentation_list": {"BOX_LEVEL": []}},
            "augmentation_list.BOX_LEVEL is []; the only category is IMAGE_LEVEL.",
        ),
        (
            {"augmentation_list": {"IMAGE_LEVEL": [{"id": "FLIP", "properties": []}]}},
            "augmentation_list.IMAGE_LEVEL[0].id is 'FLIP'; it must be an augmentation: FLIP_IMAGE, ",
        ),
        (
            {"augmentation_list": [{"id": "HUE", "properties": [{"id": "HUE", "values": []}]}]},
            "augmentation_list[0].properties[0].id is 'HUE'; it must be a property of HUE: "
            "HUE_DEGREES.",
        ),
    ],
)  # fmt: skip
def test_what_no_call_allows(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    assert message in refused(tmp_path / "home", **changes)


def told_of_values(home: Path, augmentation: str, property_: str, values: Any) -> str:
    entry = {"id": augmentation, "properties": [{"id": property_, "values": values}]}
    message = refused(home, augmentation_list={"IMAGE_LEVEL": [entry]})
    place = "augmentation_list.IMAGE_LEVEL[0].properties[0].values"
    assert message.startswith(f"{place} is {values!r}; it must be a list ")
    return message


@pytest.mark.parametrize(("operation", "name", "low", "high"), RANGES)
def test_ranges_of_augmentations_are_kept(
    tmp_path: Path, operation: str, name: str, low: int, high: int
) -> None:
    wrong: list[Any] = [
        [low - 1, high],
        [low, high + 0.5],
        [low],
        [low, high, high],
        ["1", "2"],
        [True, False],
    ]
    for values in [*wrong, [float("nan"), high], 5, None]:
        message = told_of_values(tmp_path / "home", operation, name, values)
        assert message.endswith(f"two numbers from {low} to {high}.")


@pytest.mark.parametrize(("operation", "name"), SWITCHES)
def test_switches_of_augmentations_are_true_or_false(tmp_path: Path, operation: str, name: str) -> None:
    for values in (True, [1], ["True"], [], [True, False], None):
        assert "only True or False" in told_of_values(tmp_path / "home", operation, name, values)


def test_what_the_other_calls_do_not_allow(tmp_path: Path) -> None:
    client = silent(tmp_path / "home")
    usual: dict[str, Any] = {"split_info": SPLIT, "labels": ["Water"]}
    with pytest.raises(ArgumentError, match="item_type is 'frame'; it must be one of 'image', 'image_coll"):
        client.create_dataset_from_datalake("Wrong", **usual, item_type="frame")
    with pytest.raises(ArgumentError, match="dataset_version_id is ''; it must be a text"):
        client.update_dataset_version_from_datalake("", **usual)
    with pytest.raises(ArgumentError, match="is_new_version_required is 'yes'; it must be True or False"):
        client.update_dataset_version_from_collection("v", "c", **usual, is_new_version_required="yes")
    with pytest.raises(ArgumentError, match="is_media_include is 0; it must be True or False"):
        client.download_dataset("v", "RAW", "", 0)
    for path in ("out", Path("out"), Path(), 5):
        with pytest.raises(ArgumentError, match=r"custom_download_path is .*; it must be an absolute path"):
            client.download_dataset("v", "RAW", path)
    assert not (tmp_path / "home").exists()
