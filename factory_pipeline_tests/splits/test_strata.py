"""Properties of items as classes."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.splits.strata import as_strata


@pytest.mark.parametrize(
    ("values", "strata"),
    [
        (["a", None, "b"], ["a", None, "b"]),
        ([True, False], ["true", "false"]),
        ([10, 20, 10, None], ["10", "20", "10", None]),
        ([datetime(2020, 5, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)], ["2020", "2021"]),
        ([0.0, 1.0, 2.0, 3.0, None], ["0 to 0.75", "0.75 to 1.5", "1.5 to 2.25", "2.25 to 3", None]),
        ([4.5, 4.5], ["4.5", "4.5"]),
        ([float("nan"), 1.0], [None, "1"]),
    ],
)
def test_values_become_classes(values: list[object], strata: list[str | None]) -> None:
    assert as_strata(pl.Series("value", values)).to_list() == strata


@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=60, unique=True))
def test_numbers_are_divided_into_parts_of_about_equal_size(numbers: list[float]) -> None:
    strata = as_strata(pl.Series("value", numbers))
    assert strata.null_count() == 0
    by_part = (
        pl.DataFrame({"part": strata, "value": numbers})
        .group_by("part")
        .agg(pl.col("value").min().alias("low"), pl.col("value").max().alias("high"), pl.len())
    )
    ordered = by_part.sort("low")
    assert (ordered["high"].head(-1).to_numpy() < ordered["low"].tail(-1).to_numpy()).all()
    assert by_part["len"].max() <= len(numbers) / 4 + 2
