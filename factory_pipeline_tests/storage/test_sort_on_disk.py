"""A sort whose parts wait on disk against one in memory."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factory_pipeline.storage.sort_on_disk import sort_on_disk
from factory_pipeline_tests.examples import up_to

ROWS = st.lists(st.tuples(st.integers(0, 3), st.floats(-5, 5, width=16), st.text("ab", max_size=2)))


@given(rows=ROWS, most=st.integers(1, 9))
@settings(max_examples=up_to(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_parts_are_the_sorted_table(
    tmp_path: Path, rows: list[tuple[int, float, str]], most: int
) -> None:
    schema = {"cell": pl.UInt32, "time": pl.Float64, "name": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("shot")
    by = ["cell", "time", "shot"]
    parts = list(sort_on_disk(table.lazy(), by, tmp_path, most))
    assert pl.concat(parts).equals(table.sort(by))
    assert len(parts) == 1 or max(part.height for part in parts) <= 2 * most
    assert not list(tmp_path.iterdir())


def test_rows_that_are_equal_stay_in_one_part(tmp_path: Path) -> None:
    table = pl.DataFrame({"cell": [1, 0] * 50, "row": range(100)})
    parts = list(sort_on_disk(table.lazy(), ["cell"], tmp_path, 10))
    assert [part["cell"].unique().to_list() for part in parts] == [[0], [1]]
    assert sorted(pl.concat(parts)["row"]) == list(range(100))


def test_its_files_are_removed_where_reading_stops(tmp_path: Path) -> None:
    parts = sort_on_disk(pl.LazyFrame({"a": range(100)}), ["a"], tmp_path, 10)
    assert next(parts)["a"].to_list() == list(range(10))
    assert list(tmp_path.iterdir())
    parts.close()  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())


def test_a_table_that_can_not_be_read_leaves_nothing(tmp_path: Path) -> None:
    def fail(values: pl.Series) -> pl.Series:
        raise ValueError(f"unreadable {values.name}")

    rows = pl.LazyFrame({"a": range(100)}).with_columns(
        b=pl.col("a").map_batches(fail, return_dtype=pl.Int64)
    )
    with pytest.raises(Exception, match="unreadable"):
        list(sort_on_disk(rows, ["a"], tmp_path, 10))
    assert not list(tmp_path.iterdir())
