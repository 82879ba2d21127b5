"""Labels of rows: ids, centres, values; the first reason against a label counts."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.builds.labels.label_table import (
    EXTRA,
    LABEL_SCHEMA,
    REJECT_SCHEMA,
    Dropped,
    LabelTable,
    RejectLedger,
    label_table,
    reject_frame,
)
from factory_pipeline.builds.labels.read_table import LabelRows
from factory_pipeline.config.label_sources import TableLabels
from factory_pipeline.errors import RecipeError
from factory_pipeline.storage.parquet import ParquetBatches
from factory_pipeline_tests.builds.labels.collecting_ledger import CollectingLedger

CLASSES = {"column": "crop", "classes": {1: "Maize", 2: "Wheat"}}


def made(
    columns: dict[str, Any], places: list[Any], ledger: RejectLedger | None = None, **options: Any
) -> LabelTable:
    frame = pl.DataFrame(columns)
    geometries = np.array([None if place is None else shapely.Point(place) for place in places], dtype=object)
    labels = TableLabels.model_validate({"path": "a.parquet", **options})
    usable = np.array([place is not None for place in places])
    return label_table(LabelRows(frame, geometries), labels, usable, "point", ledger or RejectLedger())


@given(st.lists(st.tuples(st.lists(st.booleans(), min_size=6, max_size=6), st.sampled_from("abc"))))
def test_the_first_reason_counts_and_no_label_is_lost(drops: list[tuple[list[bool], str]]) -> None:
    dropped = Dropped(pl.Series("id", list("uvwxyz")))
    first: dict[str, str] = {}
    for where, reason in drops:
        dropped.drop(np.array(where), reason, f"Because of {reason}.")
        for name, is_hit in zip("uvwxyz", where, strict=True):
            if is_hit:
                first.setdefault(name, reason)
    assert dict(dropped.rejects.select("id", "reason").iter_rows()) == first
    assert dropped.rejects.schema == pl.Schema(REJECT_SCHEMA)
    assert dropped.kept.tolist() == [name not in first for name in "uvwxyz"]


def test_details_stay_with_their_labels() -> None:
    dropped = Dropped(pl.Series("id", list("abc")))
    dropped.drop(np.array([True, False, False]), "one", "first")
    dropped.drop(np.array([True, False, True]), "two", pl.Series(["of a", "of c"]))
    assert dropped.rejects["detail"].to_list() == ["first", "of c"]


def test_a_label_has_its_centre_value_and_columns_or_a_reason() -> None:
    ledger = CollectingLedger()
    found = made(
        {
            "name": ["a", "b", "c", "d", "a", None],
            "crop": ["Maize", "2", "rye", "1", "1", "1"],
            "ha": [1] * 6,
        },
        [(15, 47), (16, 48), (15, 47), None, (15, 47), (200, 47)],
        ledger,
        id="name",
        target=CLASSES,
        extra=["ha"],
    )
    assert found.table["id"].to_list() == ["a", "b"]
    assert found.table["value"].to_list() == [1.0, 2.0]
    assert found.table.select("longitude", "latitude").rows() == [(15.0, 47.0), (16.0, 48.0)]
    assert found.table.columns == [*LABEL_SCHEMA, f"{EXTRA}ha"]
    assert ledger.reasons == {"c": "no_class", "d": "no_place", "a": "id_twice", None: "no_id"}  # type: ignore[dict-item]
    assert ledger.rejects.filter(pl.col("id") == "c")["detail"].item() == (
        "rye is not a class of 1 Maize, 2 Wheat."
    )
    assert found.read == 6
    assert found.geometries is not None
    assert len(found.geometries) == 2


def test_the_centre_of_an_area_is_that_of_its_bounds() -> None:
    rows = LabelRows(pl.DataFrame({"a": [1]}), np.array([shapely.box(10, 40, 12, 44)], dtype=object))
    found = label_table(rows, TableLabels(path="a.gpkg"), np.array([True]), "polygon", RejectLedger())
    assert found.table.select("id", "longitude", "latitude").row(0) == ("0", 11.0, 42.0)


def test_a_place_beyond_the_earth_and_a_number_that_is_none_are_left_out() -> None:
    ledger = CollectingLedger()
    made(
        {"t": [1.0, float("nan"), None, 4.0]},
        [(15, 47), (15, 47), (15, 47), (15, 95)],
        ledger,
        target={"column": "t"},
    )
    assert ledger.reasons == {"1": "no_value", "2": "no_value", "3": "no_place"}


def test_text_without_classes_is_refused() -> None:
    with pytest.raises(RecipeError, match="the column crop is String, not a number; of categories name the"):
        made({"crop": ["rye"]}, [(15, 47)], target={"column": "crop"})


def test_a_ledger_writes_row_groups_as_they_come_and_counts_them(tmp_path: Path) -> None:
    parts = [
        reject_frame(pl.Series(["a", "b"]), "labels", "no_time", "The label has no time."),
        pl.DataFrame(schema=REJECT_SCHEMA),
        reject_frame(pl.Series(["c"]), "splits", "buffer", "It is too near."),
        reject_frame(pl.Series(["d"]), "labels", "no_time", "The label has no time."),
    ]
    path = tmp_path / "rejects.parquet"
    with ParquetBatches(path) as file:
        ledger = RejectLedger(file)
        for number, part in enumerate(parts):
            ledger.append(part)
            if number == 1:
                assert ledger.by_reason == {"no_time": 2}
    assert list(ledger.counts.items()) == [(("labels", "no_time"), 3), (("splits", "buffer"), 1)]
    assert pl.read_parquet(path).equals(pl.concat(parts))
    assert pl.read_parquet_schema(path) == pl.Schema(REJECT_SCHEMA)
    assert pq.ParquetFile(path).num_row_groups == 4, "the first is without rows"
