"""Parquet files that are written batch by batch."""

import json
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from factory_pipeline.storage.parquet import ParquetBatches, read_key_values, to_arrow

ROWS = pl.DataFrame({"id": ["a", "b", "c"], "value": [1.5, None, -2.0]})


def write(path: Path) -> Path:
    """The rows in two batches."""
    with ParquetBatches(path) as batches:
        batches.append(ROWS[:2])
        batches.append(ROWS[2:].to_arrow(compat_level=pl.CompatLevel.oldest()))
        batches.describe({"geo": {"version": "1.1.0"}})
    return path


def test_batches_are_one_table_with_metadata(tmp_path: Path):
    path = write(tmp_path / "a.parquet")
    assert pl.read_parquet(path).equals(ROWS)
    assert json.loads(pq.read_metadata(path).metadata[b"geo"]) == {"version": "1.1.0"}
    assert json.loads(read_key_values(path)["geo"]) == {"version": "1.1.0"}


def test_a_file_that_is_missing_or_of_another_kind_has_no_metadata(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_key_values(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_bytes(b"text" * 9)
    with pytest.raises(pl.exceptions.PolarsError):
        read_key_values(tmp_path / "a.parquet")


def test_the_same_rows_give_the_same_bytes(tmp_path: Path):
    assert write(tmp_path / "a.parquet").read_bytes() == write(tmp_path / "b.parquet").read_bytes()


def test_without_a_table_there_is_no_file(tmp_path: Path):
    with ParquetBatches(tmp_path / "a.parquet") as batches:
        batches.describe({"geo": {}})
    assert not list(tmp_path.iterdir())


def test_texts_have_the_type_that_all_readers_of_arrow_know():
    table = to_arrow(pl.DataFrame({"text": ["a", None], "number": [1.5, 2.5]}))
    assert [str(field.type) for field in table.schema] == ["large_string", "double"]
