"""What all annotation documents share."""

from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.datalake.ingest.json_input import confidence, json_object, numbers, read_json
from factory_pipeline.datalake.ingest.report import BadAnnotationError
from factory_pipeline.errors import LakeError


def test_a_document_may_begin_with_a_byte_order_mark(tmp_path: Path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize(
    ("content", "told"), [(b"{", "not JSON"), (b"\xff\xfe", "not UTF-8"), (None, "can't be read")]
)
def test_what_is_no_json_is_said(content: bytes | None, told: str, tmp_path: Path):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(LakeError, match=told):
        read_json(tmp_path / "a.json")


def test_a_confidence_is_from_0_to_1():
    assert [confidence(value, "It") for value in (None, 0, 1, 0.5)] == [None, 0.0, 1.0, 0.5]
    for value in (True, -0.1, 1.1, "0.5", float("nan")):
        with pytest.raises(BadAnnotationError, match="from 0 to 1"):
            confidence(value, "It")


@pytest.mark.parametrize(
    ("values", "count", "are_numbers"),
    [
        ([1, 2.5], 2, True),
        ([1, 2], 3, False),
        ([1, True], None, False),
        ([float("inf")], None, False),
        ("12", None, False),
    ],
)
def test_lists_of_numbers(values: Any, count: int | None, are_numbers: bool):
    assert numbers(values, count) is are_numbers


def test_equal_objects_are_the_same_text():
    assert json_object({"b": 1, "a": "é"}) == json_object({"a": "é", "b": 1}) == '{"a":"é","b":1}'
