"""Rows of many files as frames: tables that are written part by part.

A row as a dictionary needs some ten times the memory of a row in a frame, and a table of all files may not
fit into memory: it is written to disk as it grows, and read column by column.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.parquet import ParquetBatches

ROWS_AT_ONCE = 2_000

Schema = Mapping[str, pl.DataType | type[pl.DataType]]


def frames_of(rows: Iterable[Mapping[str, Any]], schema: Schema) -> Iterator[pl.DataFrame]:
    """Yield rows as frames of a schema, a few thousand rows in each; at least one frame.

    Args:
        rows: by column name; read lazily.
        schema: of each frame, also of the only one where there are no rows.
    """
    left = iter(rows)
    part = list(islice(left, ROWS_AT_ONCE))
    while True:
        yield pl.DataFrame(part, schema=schema)
        part = list(islice(left, ROWS_AT_ONCE))
        if not part:
            return


def frame_of(rows: Iterable[Mapping[str, Any]], schema: Schema) -> pl.DataFrame:
    """Return rows as one frame of a schema; only a few thousand at a time exist as dictionaries.

    Args:
        rows: by column name; read lazily.
        schema: of the frame, also where there are no rows.
    """
    return pl.concat(frames_of(rows, schema))


def write_frames(path: Path, frames: Iterable[pl.DataFrame]) -> None:
    """Write frames of the same columns, concatenated, as a Parquet file, atomically.

    Args:
        path: of the file; one that exists is replaced.
        frames: at least one; the first one's schema is that of the file.
    """
    with atomic_write(path) as temporary, ParquetBatches(temporary) as file:
        for frame in frames:
            file.append(frame)


def rows_in(table: pl.LazyFrame) -> int:
    """Return the number of rows of a table."""
    return int(table.select(pl.len()).collect().item())


def slices(table: pl.LazyFrame, key: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a table in the order of a column, a few thousand of its values at a time.

    Rows of one value are in one frame; beside the frame only the column is in memory.

    Args:
        table: all columns are yielded.
        key: name of the column.
    """
    values = table.select(pl.col(key).unique().sort()).collect().to_series()
    for start in range(0, len(values), ROWS_AT_ONCE):
        some = values.slice(start, ROWS_AT_ONCE).implode()
        yield table.filter(pl.col(key).is_in(some)).collect().sort(key, maintain_order=True)
