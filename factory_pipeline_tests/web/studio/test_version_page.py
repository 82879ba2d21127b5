"""The call that the page of a version shows."""

import ast
import inspect
import shlex
from typing import Any

import pytest

from factory_pipeline import DatasetClient
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.summaries import VersionSummary
from factory_pipeline.web.studio.version_page import download_command, python_call

SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}


@pytest.mark.parametrize(
    ("name", "asked", "arguments"),
    [
        (
            "create_dataset_from_collection",
            {"dataset_name": "a", "collection_id": "c", "block_m": 1000.0},
            {},
        ),
        ("create_dataset_from_datalake", {"dataset_name": "a", "item_type": "dataset"}, {}),
        ("update_dataset_version_from_collection", {"dataset_version_id": "v", "collection_id": "c"}, {}),
        ("update_dataset_version_from_datalake", {"dataset_version_id": "v", "keep_splits": False}, {}),
        (
            "update_dataset_version_from_collection",
            {"dataset_version_id": "v", "within_source": True},
            {"dataset_version_id": "v", "collection_id": None},
        ),
    ],
)
def test_the_call_of_a_version_is_one_that_the_sdk_takes(
    name: str, asked: dict[str, Any], arguments: dict[str, Any]
) -> None:
    request = DatasetRequest.of(split_info=SHARES, labels=["a"], **asked).model_dump(mode="json")
    shown = ast.parse(python_call(VersionSummary.model_construct(request=request))).body[-1]
    assert isinstance(shown, ast.Expr)
    assert isinstance(shown.value, ast.Call)
    assert isinstance(shown.value.func, ast.Attribute)
    assert shown.value.func.attr == name
    found = {str(each.arg): ast.literal_eval(each.value) for each in shown.value.keywords}
    inspect.signature(getattr(DatasetClient, name)).bind(None, **found)
    assert found == {**(arguments or asked), "split_info": SHARES, "labels": ["a"]}


@pytest.mark.parametrize(("exports", "form"), [((), "RAW"), (("YOLO Darknet", "COCO"), "YOLO Darknet")])
def test_the_command_of_a_version_names_it_and_a_format(exports: tuple[str, ...], form: str) -> None:
    version = VersionSummary.model_construct(dataset="Anna's & Üle", number="1.0.2", exports=exports)
    command = shlex.split(download_command(version))
    assert command == ["factory", "dataset", "download", "Anna's & Üle@1.0.2", form]
