"""Tables that are sorted without all of their rows in memory: their parts wait on disk."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import reduce
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from factory_pipeline.storage.atomic import working_path
from factory_pipeline.storage.parquet import to_arrow
from factory_pipeline.storage.temporaries import temporary_in

ROWS_IN_MEMORY = 100_000
"""Rows that are sorted at a time, more or less."""
_LOOKED_AT = 50_000
"""Rows whose keys say where parts begin."""
_PART = "_part of the table"


def sort_on_disk(
    rows: pl.LazyFrame, by: Sequence[str], folder: Path, most: int = ROWS_IN_MEMORY
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a table in the order of some columns, a part at a time.

    Equal rows come in any order. A table of few rows is sorted in memory, as one part; of no row, too.

    Args:
        rows: the table, which is read twice.
        by: columns without null and NaN.
        folder: of temporary files that take as much space as the table.
        most: rows of a part, about; those that are equal in all columns of `by` are in one part.
    """
    height = rows.select(pl.len()).collect(engine="streaming").item()
    if height <= most:
        yield rows.collect(engine="streaming").sort(by)
        return
    some = rows.select(by).gather_every(-(-height // _LOOKED_AT)).collect(engine="streaming").sort(by)
    bounds = some.gather_every(max(1, some.height * most // height)).slice(1).unique(maintain_order=True)
    scratch = temporary_in(working_path(folder), "sorting")
    scratch.mkdir(parents=True)
    try:
        paths = [scratch / f"{part}.arrow" for part in range(bounds.height + 1)]
        _divide(rows, _number(by, bounds), paths, most)
        for path in paths:
            if path.exists():
                with path.open("rb") as file, pa.ipc.open_stream(file) as stored:
                    part = pl.DataFrame(pl.from_arrow(stored.read_all()))
                path.unlink()
                yield part.sort(by)
    finally:
        shutil.rmtree(scratch)


def _divide(rows: pl.LazyFrame, number: pl.Expr, paths: Sequence[Path], most: int) -> None:
    """Write each row to the file of its number."""
    with ExitStack() as stack:
        writers: dict[int, Any] = {}
        for some in rows.with_columns(number.alias(_PART)).collect_batches(chunk_size=most):
            for (part,), members in some.partition_by(_PART, as_dict=True, include_key=False).items():
                table = to_arrow(members)
                if part not in writers:
                    file = stack.enter_context(paths[int(str(part))].open("wb"))
                    writers[part] = stack.enter_context(pa.ipc.new_stream(file, table.schema))
                writers[part].write_table(table)


def _number(by: Sequence[str], bounds: pl.DataFrame) -> pl.Expr:
    """Return how many bounds a row is not before."""
    return pl.sum_horizontal(
        _is_from(by, [pl.lit(value, dtype) for value, dtype in zip(bound, bounds.dtypes, strict=True)]).cast(
            pl.UInt32
        )
        for bound in bounds.iter_rows()
    )


def _is_from(by: Sequence[str], bound: Sequence[pl.Expr]) -> pl.Expr:
    """Return whether a row is at a bound or after it, in the order of the columns."""
    return reduce(
        lambda rest, each: (pl.col(each[0]) > each[1]) | ((pl.col(each[0]) == each[1]) & rest),
        reversed(list(zip(by, bound, strict=True))),
        pl.lit(True),
    )
