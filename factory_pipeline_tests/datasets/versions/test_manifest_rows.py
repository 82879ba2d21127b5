"""The metadata of an item, as a manifest stores them."""

import json
import math
from datetime import UTC, date, datetime, timedelta

import pytest

from factory_pipeline.datasets.versions.manifest_rows import metadata_json


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (1.5, 1.5),
        (True, True),
        (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, tzinfo=UTC), "2024-01-02T03:00:00+00:00"),
        (timedelta(minutes=2), 120.0),
        (b"\x01\xff", "01ff"),
        ([1, None, {"a": (2,)}], [1, None, {"a": [2]}]),
    ],
)
def test_values_become_json(value: object, stored: object):
    assert json.loads(metadata_json({"a": value})) == {"a": stored}


def test_null_and_nan_are_left_out_and_names_are_in_order():
    assert metadata_json({"b": None, "c": math.nan, "é": 2, "a": 1}) == '{"a": 1, "é": 2}'
