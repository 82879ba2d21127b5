"""What is written of a granule comes back as it was."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from factory_pipeline.builds.gedi.footprint_parquet import write_footprints
from factory_pipeline.builds.gedi.granules import FOOTPRINT_SCHEMA

EXTRA: dict[str, pl.DataType | type[pl.DataType]] = {
    "sensitivity": pl.Float32,
    "solar_elevation": pl.Float64,
    "selected_algorithm": pl.UInt16,
    "degrade_flag": pl.Int8,
    "master_frac": pl.UInt64,
    "channel": pl.Int32,
    "is_leaf_off": pl.Boolean,
    "predict_stratum": pl.String,
}


def made_footprints(beams: list[int], seed: int = 0) -> pl.DataFrame:
    """Footprints with so many shots per beam; integers are drawn from the whole range of their type."""
    rng = np.random.default_rng(seed)
    schema = {**FOOTPRINT_SCHEMA, **EXTRA}
    frame = pl.DataFrame({name: draw(rng, dtype, sum(beams)) for name, dtype in schema.items()})
    names = [f"BEAM{number:04b}" for number, count in enumerate(beams) for _ in range(count)]
    return frame.with_columns(
        granule=pl.lit("GEDI04_A_2020036151358_O06515_02_T00198_02_002_01_V002"),
        beam=pl.Series(names, dtype=pl.String),
    )


def draw(rng: np.random.Generator, dtype: pl.DataType | type[pl.DataType], count: int) -> pl.Series:
    if dtype.is_integer():
        bounds = pl.select(low=dtype.min(), high=dtype.max()).row(0)  # type: ignore[union-attr]
        numpy_dtype = pl.Series([], dtype=dtype).to_numpy().dtype
        return pl.Series(rng.integers(*bounds, count, numpy_dtype, endpoint=True))
    if dtype.is_float():
        return pl.Series(rng.normal(0, 1e6, count)).cast(dtype)
    if dtype == pl.Boolean:
        return pl.Series(rng.integers(0, 2, count) == 1)
    return pl.Series([f"text {number}" for number in rng.integers(0, 5, count)], dtype=pl.String)


@pytest.mark.integration
@pytest.mark.parametrize("beams", [[], [0], [1], [3, 0, 5], [40_000, 1, 30_000]], ids=str)
def test_footprints_come_back_as_they_were(beams: list[int], tmp_path: Path) -> None:
    footprints = made_footprints(beams)
    write_footprints(tmp_path / "a.parquet", footprints)

    assert pl.read_parquet(tmp_path / "a.parquet").schema == footprints.schema
    assert pl.read_parquet(tmp_path / "a.parquet").equals(footprints)
    assert pl.from_arrow(pq.read_table(tmp_path / "a.parquet")).equals(footprints)  # type: ignore[union-attr]


def test_not_a_number_and_null_come_back(tmp_path: Path) -> None:
    footprints = made_footprints([4]).with_columns(
        agbd=pl.Series([float("nan"), float("-inf"), -0.0, None], dtype=pl.Float32)
    )
    write_footprints(tmp_path / "a.parquet", footprints)
    assert pl.read_parquet(tmp_path / "a.parquet").equals(footprints)


def test_same_footprints_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_footprints(tmp_path / f"{name}.parquet", made_footprints([500, 700]))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_names_take_no_room(tmp_path: Path) -> None:
    write_footprints(tmp_path / "a.parquet", made_footprints([5000] * 8))
    columns = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0)
    sizes = {columns.column(n).path_in_schema: columns.column(n).total_compressed_size for n in range(19)}
    assert sizes["granule"] < 1000
    assert sizes["beam"] < 1000
