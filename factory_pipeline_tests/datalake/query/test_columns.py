"""Properties as columns of tables."""

from datetime import UTC, datetime

import polars as pl
import pytest

from factory_pipeline.datalake.query.columns import annotation_column, column, item_column
from factory_pipeline.datalake.query.queryables import ValueKind


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (pl.String(), ValueKind.TEXT),
        (pl.Enum(["a"]), ValueKind.TEXT),
        (pl.Int8(), ValueKind.NUMBER),
        (pl.Boolean(), ValueKind.BOOLEAN),
        (pl.Date(), ValueKind.TIME),
        (pl.Binary(), None),
    ],
)
def test_each_dtype_has_a_kind(dtype: pl.DataType, kind: ValueKind | None):
    assert column(pl.col("a"), dtype).kind is kind
    listed = column(pl.col("a"), pl.List(dtype))
    assert (listed.kind, listed.holds_lists) == (kind, True)


def test_a_property_may_be_a_field_of_a_struct():
    frame = pl.DataFrame({"metadata.a": [{"b": 1}, None], "metadata.c": [2.0, 3.0]})
    nested = item_column("metadata.a.b", frame.schema)
    assert nested is not None
    assert frame.select(nested.expression).to_series().to_list() == [1, None]
    assert item_column("metadata.c", frame.schema) is not None
    assert item_column("metadata.a.x", frame.schema) is None
    assert item_column("metadata.x", frame.schema) is None


def test_keys_of_an_annotation_are_read_from_its_json():
    frame = pl.DataFrame({"attributes": ['{"roof \\"flat\\"": "yes"}', "{}"]})
    found = annotation_column('annotation.attributes.roof "flat"', frame.schema)
    assert found is not None
    assert found.kind is ValueKind.JSON
    assert frame.select(found.expression).to_series().to_list() == ["yes", None]
    assert annotation_column("annotation.metadata.a", frame.schema) is None


def test_a_value_is_present_if_it_is_neither_null_nor_nan():
    frame = pl.DataFrame({"a": [1.0, None, float("nan")], "b": [[1], [], None]})
    a, b = (column(pl.col(name), frame.schema[name]) for name in "ab")
    assert frame.select(a.present).to_series().to_list() == [True, False, False]
    assert frame.select(b.present).to_series().to_list() == [True, False, None]


def test_a_day_ends_with_its_last_moment():
    frame = pl.DataFrame({"a": [datetime(2024, 5, 1)]}).cast(pl.Date)
    start, end = column(pl.col("a"), pl.Date()).ends
    first, last = frame.select(start, end=end).row(0)
    assert first == datetime(2024, 5, 1, tzinfo=UTC)
    assert (last - first).total_seconds() == pytest.approx(86_400)
