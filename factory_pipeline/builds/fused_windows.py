"""The windows of the samples of fused files, as searches for leaks and maps take them."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import polars as pl

_ALL = slice(None)
_READ = 1 << 15
"""Samples that are read together."""


def iterate_windows(path: Path, split: str, ids: str, size: int | None = None) -> Iterator[pl.DataFrame]:
    """Yield the samples of a fused file in their order, some at a time.

    Args:
        path: as for `fused_windows`.
        split: as for `fused_windows`.
        ids: as for `fused_windows`.
        size: as for `fused_windows`.
    """
    with h5py.File(path) as file:
        samples = len(file[ids])
    for start in range(0, samples, _READ):
        yield fused_windows(path, split, ids, size, slice(start, start + _READ))


def fused_windows(
    path: Path, split: str, ids: str, size: int | None = None, rows: slice = _ALL
) -> pl.DataFrame:
    """Return the samples of a fused file as `splits.leakage.leak_report` takes them, with their `split`.

    Args:
        path: the file.
        split: of the file.
        ids: the dataset of the file that names a sample.
        size: pixels a side of a window; None for those of the land cover of the GEDI dataset.
        rows: of the file, those that are read.
    """
    with h5py.File(path) as file:
        data = file["data"]
        crs = data["CRS"].asstr()[rows, 0] if len(data["CRS"]) else np.empty(0, dtype=object)
        transforms = data["Transforms"][rows, :6].astype(np.float64)
        named = file[ids]
        names = named.asstr()[rows, 0] if named.dtype.kind == "S" and len(named) else named[rows, 0]
        side = data["WorldCover"].shape[-1] if size is None else size
    # Without a Python object for each number, of which a million samples have six millions.
    placed = pl.Series("transform", transforms, dtype=pl.Array(pl.Float64, 6)).cast(pl.List(pl.Float64))
    return pl.DataFrame(
        {
            "stem": pl.Series(names, dtype=None if names.dtype.kind in "iu" else pl.String).cast(pl.String),
            "epsg": pl.Series(crs, dtype=pl.String),
            "transform": placed,
        }
    ).select(
        "stem",
        pl.lit(split).alias("split"),
        pl.lit(None, pl.String).alias("sha256"),
        "epsg",
        "transform",
        pl.lit(side, pl.Int64).alias("width"),
        pl.lit(side, pl.Int64).alias("height"),
        pl.lit(None, pl.List(pl.Float64)).alias("bounds"),
    )
