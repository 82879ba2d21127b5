"""Tables of footprints as CSV: written for users, and read back when a user gives one."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from factory_pipeline.builds.gedi.granules import FOOTPRINT_SCHEMA, REQUIRED_FIELDS
from factory_pipeline.errors import FootprintTableError
from factory_pipeline.splits.random_keys import random_keys
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.sort_on_disk import sort_on_disk

REQUIRED_COLUMNS = tuple(name for name in FOOTPRINT_SCHEMA if name in ("granule", "beam", *REQUIRED_FIELDS))
"""What a user's table must have: the flags have done their work where a table is given."""

_LIMITS = {"delta_time": (0.0, 3e9), "lat_lowestmode": (-90.0, 90.0), "lon_lowestmode": (-180.0, 180.0)}


def write_footprints_csv(footprints: pl.DataFrame, path: Path) -> None:
    """Write a table of footprints atomically; numbers keep all their digits.

    Args:
        footprints: FOOTPRINT_SCHEMA and extra fields.
        path: of the file.
    """
    write_csv_parts([footprints], path)


def write_shuffled_csv(parquet: Path, path: Path, seed: int) -> None:
    """Write a Parquet table of footprints as CSV in an order that depends only on the seed and the shots.

    Args:
        parquet: footprints, of any length.
        path: of the CSV.
        seed: of the recipe.
    """
    rows = pl.scan_parquet(parquet).with_columns(_key=_keys(seed))
    write_csv_parts((part.drop("_key") for part in sort_on_disk(rows, ["_key"], path.parent)), path)


def write_csv_parts(parts: Iterable[pl.DataFrame], path: Path) -> None:
    """Write the parts of a table of footprints below each other, atomically; numbers keep all their digits.

    Args:
        parts: of the same columns; one or more.
        path: of the file.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        for number, part in enumerate(parts):
            part.write_csv(file, include_header=number == 0)


def _keys(seed: int) -> pl.Expr:
    return pl.col("shot_number").map_batches(
        lambda shots: pl.Series(random_keys(shots.to_numpy(), seed)), return_dtype=pl.UInt64
    )


def read_footprints_csv(path: Path) -> pl.DataFrame:
    """Read a user's CSV of footprints: FOOTPRINT_SCHEMA first, then whatever other columns it has.

    A column that is not in REQUIRED_COLUMNS may be missing or have empty values; these are null.

    Raises:
        FootprintTableError: the file can't be read, lacks a column, contains a value of another type, an
            empty value, coordinates or times out of range, or a shot number twice.
    """
    try:
        columns = pl.scan_csv(path).collect_schema().names()
        missing = [name for name in REQUIRED_COLUMNS if name not in columns]
        if missing:
            raise FootprintTableError(
                f"The footprint table {path} lacks the column {missing[0]}; "
                f"it must have {', '.join(REQUIRED_COLUMNS)}."
            )
        dtypes = {name: dtype for name, dtype in FOOTPRINT_SCHEMA.items() if name in columns}
        table = pl.read_csv(path, schema_overrides=dtypes, infer_schema_length=None)
    except OSError as error:
        raise FootprintTableError(f"The footprint table {path} can't be read: {error.strerror}.") from error
    except pl.exceptions.PolarsError as error:
        problem = str(error).partition("\n")[0].rstrip(".")
        raise FootprintTableError(f"The footprint table {path} can't be read: {problem}.") from error
    _validate(table, path)
    lacking = {name: dtype for name, dtype in FOOTPRINT_SCHEMA.items() if name not in columns}
    table = table.with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in lacking.items())
    return table.select(*FOOTPRINT_SCHEMA, *(name for name in columns if name not in FOOTPRINT_SCHEMA))


def _validate(table: pl.DataFrame, path: Path) -> None:
    for name in REQUIRED_COLUMNS:
        if table[name].null_count():
            raise FootprintTableError(f"The footprint table {path} has an empty value in the column {name}.")
    for name, (lowest, highest) in _LIMITS.items():
        if not table[name].is_between(lowest, highest).all():
            raise FootprintTableError(
                f"The footprint table {path} has a {name} outside {lowest:g} to {highest:g}."
            )
    repeated = table["shot_number"].filter(table["shot_number"].is_duplicated())
    if repeated.len():
        raise FootprintTableError(f"The footprint table {path} has the shot number {repeated[0]} twice.")
