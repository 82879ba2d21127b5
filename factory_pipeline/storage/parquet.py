"""Parquet files written batch by batch: memory does not grow with the table; same rows, same bytes."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH_ROWS = 16_384
"""Rows of a row group: the unit that is kept in memory and that a query can skip."""


class ParquetBatches:
    """An open Parquet file that tables are appended to; all have the columns and types of the first.

    The file appears at its path when the block ends without an error.
    """

    def __init__(self, path: Path) -> None:
        """Remember the path; append at least one table, which may have no rows."""
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def append(self, rows: "pl.DataFrame | pa.Table") -> None:
        """Append the rows of a table."""
        table = to_arrow(rows) if isinstance(rows, pl.DataFrame) else rows
        if self._writer is None:
            # PyArrow takes as long to import as polars: who only reads key-values does not wait for it.
            import pyarrow.parquet as pq

            # Without the Arrow schema the bytes do not depend on which Arrow types polars uses in memory.
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd", store_schema=False)
        self._writer.write_table(table, row_group_size=BATCH_ROWS)

    def describe(self, metadata: Mapping[str, Any]) -> None:
        """Add key-value metadata to the file, each value as JSON."""
        if self._writer is not None:
            self._writer.add_key_value_metadata({key: json.dumps(value) for key, value in metadata.items()})


def to_arrow(rows: pl.DataFrame) -> "pa.Table":
    """Return a table with Arrow types that all readers know: no views, whatever polars uses in memory."""
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest())


def read_key_values(path: Path) -> dict[str, str]:
    """Return the key-value metadata of a Parquet file, such as those of `ParquetBatches.describe`.

    Raises:
        OSError: the file is missing, or can't be read.
        polars.exceptions.PolarsError: it is not a Parquet file.
    """
    return pl.read_parquet_metadata(path)
