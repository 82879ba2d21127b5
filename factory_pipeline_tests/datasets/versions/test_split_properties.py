"""Properties of items that decide their split, wherever their collections have them."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from factory_pipeline.datasets.versions.split_properties import (
    balanced_classes,
    joining_properties,
    plain_values,
    property_values,
)
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datasets.versions.factories import request

ITEMS = pl.DataFrame({"collection": ["1", "2", "1", "2"], "id": ["a", "a", "b", "c"]})


def collection(name: str, **columns: list[Any]) -> Any:
    return SimpleNamespace(items=pl.LazyFrame(columns), collection=SimpleNamespace(name=name))


COLLECTIONS = {
    "1": collection(
        "fields",
        id=["a", "b", "z"],
        datetime=[datetime(2020, 5, 6, 7, tzinfo=UTC), None, None],
        **{"metadata.crop": ["Rye", "Oat", "Rye"], "metadata.tags": [["x"], [], []]},
    ),
    "2": collection(
        "lakes", id=["a", "c"], datetime=[datetime(2021, 1, 2, tzinfo=UTC)] * 2, **{"metadata.depth": [3, 4]}
    ),
}


def values(name: str) -> list[Any]:
    return property_values(ITEMS, name, "balance[0]", COLLECTIONS).to_list()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("collection", ["fields", "lakes", "fields", "lakes"]),
        ("crop", ["Rye", None, "Oat", None]),
        ("metadata.crop", ["Rye", None, "Oat", None]),
        ("depth", [None, 3, None, 4]),
        ("year", [2020, 2021, None, 2021]),
        ("day", ["2020-05-06", "2021-01-02", None, "2021-01-02"]),
    ],
)
def test_each_item_has_the_value_of_its_own_collection(name: str, expected: list[Any]) -> None:
    assert values(name) == expected


def test_a_property_that_no_item_has_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ArgumentError, match="a property that the items have: crop, depth, tags"):
        values("corp")


def test_lists_are_refused() -> None:
    with pytest.raises(ArgumentError, match="its values must be numbers, texts or times"):
        plain_values(ITEMS, "tags", "group_by[0]", COLLECTIONS)


def test_what_is_asked_for_is_balanced_and_joined() -> None:
    asked = request(balance=("crop",), group_by=("collection", "year"))
    joined = joining_properties(ITEMS, asked, COLLECTIONS)
    assert [each.to_list() for each in joined] == [values("collection"), values("year")]
    assert balanced_classes(ITEMS, None, asked, COLLECTIONS) is not None
    assert balanced_classes(ITEMS, None, request(), COLLECTIONS) is None
