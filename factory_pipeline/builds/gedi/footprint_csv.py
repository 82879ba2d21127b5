"""Tables of footprints as CSV: written for users, and read back when a user gives one."""

from pathlib import Path

import polars as pl

from factory_pipeline.builds.gedi.granules import FOOTPRINT_SCHEMA, REQUIRED_FIELDS
from factory_pipeline.errors import FootprintTableError
from factory_pipeline.splits.random_keys import random_keys
from factory_pipeline.storage.atomic import atomic_write

ROWS_IN_MEMORY = 2_000_000
"""Rows that are shuffled at a time."""

REQUIRED_COLUMNS = tuple(name for name in FOOTPRINT_SCHEMA if name in ("granule", "beam", *REQUIRED_FIELDS))
"""What a user's table must have: the flags have done their work where a table is given."""

_LIMITS = {"delta_time": (0.0, 3e9), "lat_lowestmode": (-90.0, 90.0), "lon_lowestmode": (-180.0, 180.0)}


def write_footprints_csv(footprints: pl.DataFrame, path: Path) -> None:
    """Write a table of footprints atomically; numbers keep all their digits.

    Args:
        footprints: FOOTPRINT_SCHEMA and extra fields.
        path: of the file.
    """
    with atomic_write(path) as temporary:
        footprints.write_csv(temporary)


def write_shuffled_csv(parquet: Path, path: Path, seed: int) -> None:
    """Write a Parquet table of footprints as CSV in an order that depends only on the seed and the shots.

    Large tables are shuffled part by part: each part is a range of the random keys, so that the order
    is the same however many parts there are.

    Args:
        parquet: footprints, of any length.
        path: of the CSV.
        seed: of the recipe.
    """
    rows = pl.scan_parquet(parquet).select(pl.len()).collect().item()
    parts = max(1, -(-rows // ROWS_IN_MEMORY))
    bounds = [2**64 * part // parts for part in range(parts)] + [2**64 - 1]
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        for part in range(parts):
            last = pl.lit(bounds[part + 1], dtype=pl.UInt64)
            below = pl.col("_key") <= last if part == parts - 1 else pl.col("_key") < last
            shuffled = (
                pl.scan_parquet(parquet)
                .with_columns(_key=_keys(seed))
                .filter((pl.col("_key") >= pl.lit(bounds[part], dtype=pl.UInt64)) & below)
                .sort("_key")
                .drop("_key")
                .collect(engine="streaming")
            )
            shuffled.write_csv(file, include_header=part == 0)


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
