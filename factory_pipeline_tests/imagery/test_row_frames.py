"""Frames that grow part by part."""

from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.imagery import row_frames
from factory_pipeline.imagery.row_frames import frame_of, frames_of, slices, write_frames


@pytest.mark.parametrize("count", [0, 1, 7, 8, 20])
def test_rows_become_the_frame_that_they_would_become_at_once(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_frames, "ROWS_AT_ONCE", 8)
    schema = {"name": pl.String, "values": pl.List(pl.Float64)}
    rows = [{"name": f"{number}", "values": [number] if number % 3 else None} for number in range(count)]
    assert frame_of(iter(rows), schema).equals(pl.DataFrame(rows, schema=schema))


def test_a_table_on_disk_is_read_in_slices_of_a_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_frames, "ROWS_AT_ONCE", 8)
    schema = {"name": pl.String, "number": pl.Int64, "values": pl.List(pl.Float64)}
    rows = [{"name": f"{number % 19:02d}", "number": number, "values": [0.5] * 3} for number in range(50)]
    write_frames(tmp_path / "table.parquet", frames_of(iter(rows), schema))
    table = pl.scan_parquet(tmp_path / "table.parquet")
    whole = pl.DataFrame(rows, schema=schema)
    assert table.collect().equals(whole)
    found = list(slices(table, "name"))
    assert [part["name"].n_unique() for part in found] == [8, 8, 3]
    assert pl.concat(found).equals(whole.sort("name", maintain_order=True))


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    write_frames(tmp_path / "table.parquet", frames_of([], {"name": pl.String}))
    assert pl.read_parquet(tmp_path / "table.parquet").schema == {"name": pl.String}
    assert list(slices(pl.scan_parquet(tmp_path / "table.parquet"), "name")) == []
