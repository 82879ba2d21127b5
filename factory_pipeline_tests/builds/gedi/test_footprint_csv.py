from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.builds.gedi.footprint_csv import read_footprints_csv, write_footprints_csv
from factory_pipeline.errors import FootprintTableError
from factory_pipeline_tests.builds.gedi.factories import footprints
from factory_pipeline_tests.examples import up_to

SHOTS = st.integers(-(2**63), 2**63 - 1)
FLOATS32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=up_to(60), deadline=None)
@given(SHOTS, st.floats(0, 3e9), st.floats(-90, 90), FLOATS32)
def test_every_digit_survives(
    tmp_path_factory: pytest.TempPathFactory, shot: int, time: float, latitude: float, agbd: float
) -> None:
    path = tmp_path_factory.mktemp("csv") / "train_subset.csv"
    table = footprints(
        1, shot_number=[shot], delta_time=[time], lat_lowestmode=[latitude], agbd=np.array([agbd], np.float32)
    )
    write_footprints_csv(table, path)
    assert read_footprints_csv(path).equals(table)


def test_further_columns_follow(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    footprints(2).select(pl.lit("north").alias("region"), pl.all()).write_csv(path)
    assert read_footprints_csv(path).columns == [*footprints(0).columns, "region"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"agbd_se": None}, "lacks the column agbd_se; it must have shot_number, granule"),
        ({"shot_number": ["six", "7"]}, "can't be read"),
        ({"shot_number": [5, 5]}, "the shot number 5 twice"),
        ({"agbd": [1.0, None]}, "an empty value in the column agbd"),
        ({"lat_lowestmode": [1.0, 91.0]}, "lat_lowestmode outside -90 to 90"),
        ({"lon_lowestmode": [1.0, float("nan")]}, "lon_lowestmode outside -180 to 180"),
        ({"delta_time": [1.0, -1.0]}, "delta_time outside 0 to"),
    ],
)
def test_a_table_that_can_not_be_used_is_explained(tmp_path: Path, change: Any, problem: str) -> None:
    path = tmp_path / "mine.csv"
    (name, values), table = next(iter(change.items())), footprints(2)
    changed = table.drop(name) if values is None else table.with_columns(pl.Series(name, values))
    changed.write_csv(path)
    with pytest.raises(FootprintTableError, match=problem) as refusal:
        read_footprints_csv(path)
    assert str(path) in str(refusal.value)


def test_a_missing_or_empty_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(FootprintTableError, match="can't be read"):
        read_footprints_csv(tmp_path / "none.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(FootprintTableError, match="can't be read"):
        read_footprints_csv(tmp_path / "empty.csv")


def test_flags_may_be_missing_or_empty_where_a_table_is_given(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    footprints(2).drop("l2_quality_flag").with_columns(surface_flag=pl.lit(None)).write_csv(path)
    read = read_footprints_csv(path)
    assert read.schema == footprints(0).schema
    assert read["l2_quality_flag"].to_list() == read["surface_flag"].to_list() == [None, None]
    assert read["l4_quality_flag"].to_list() == [1, 1]
