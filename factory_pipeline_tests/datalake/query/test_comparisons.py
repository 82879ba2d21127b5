"""Conditions on columns."""

import math
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from factory_pipeline.datalake.query.columns import column
from factory_pipeline.datalake.query.comparisons import (
    between,
    combine,
    compare_columns,
    compare_value,
    like,
    one_of,
)


def met(series: pl.Series, condition: Any) -> list[bool | None]:
    """Which rows meet a condition on the only column."""
    asked = column(pl.col(series.name), series.dtype)
    return series.to_frame().select(found=condition(asked)).to_series().to_list()


NUMBERS = pl.Series("a", [1.0, 2.5, math.nan, None])
TEXTS = pl.Series("a", ["1", "forest 2", None])


def test_nan_is_greater_than_nothing():
    assert met(NUMBERS, lambda asked: compare_value(">", asked, 1)) == [False, True, False, None]
    assert met(NUMBERS, lambda asked: between(asked, 1, 2)) == [True, False, False, None]


def test_numbers_are_compared_with_texts_that_are_numbers():
    assert met(NUMBERS, lambda asked: compare_value("=", asked, "2.5"))[:2] == [False, True]
    assert met(TEXTS, lambda asked: compare_value("<", asked, 2)) == [True, None, None]
    assert not any(met(NUMBERS, lambda asked: compare_value("=", asked, "forest")))


def test_one_of_many_and_patterns():
    assert met(TEXTS, lambda asked: one_of(asked, ["1", 7])) == [True, False, None]
    assert met(TEXTS, lambda asked: like(asked, "for%")) == [False, True, None]
    assert met(pl.Series("a", ["a%b", "axb"]), lambda asked: like(asked, r"a\%b")) == [True, False]


def test_a_list_meets_what_one_of_its_values_meets():
    lists = pl.Series("a", [[1, 5], [2], []])
    assert met(lists, lambda asked: compare_value(">", asked, 3)) == [True, False, False]


def test_a_day_is_from_its_first_to_its_last_moment():
    moments = pl.Series("a", [datetime(2024, 5, 1, 12, tzinfo=UTC), datetime(2024, 5, 2, tzinfo=UTC)])
    day = {"date": "2024-05-01"}
    assert met(moments, lambda asked: compare_value("<=", asked, day)) == [True, False]
    assert met(moments, lambda asked: compare_value("<", asked, day)) == [False, False]
    assert met(pl.Series("a", [date(2024, 5, 1)]), lambda asked: compare_value("=", asked, day)) == [True]


def test_two_columns_of_one_kind_are_compared():
    frame = pl.DataFrame({"a": [1, 2], "b": ["1", "x"]})
    a, b = (column(pl.col(name), frame.schema[name]) for name in "ab")
    assert frame.select(found=compare_columns("=", a, b)).to_series().to_list() == [True, None]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_many_parts_are_one_condition(count: int):
    parts = [pl.lit(True)] * count
    assert pl.select(combine(lambda one, other: one & other, parts)).item() is True
    assert pl.select(combine(lambda one, other: one & other, [])).item() is False
