"""The footprints of one granule as a Parquet file that is quick to write and small.

Floats are parted into their first bytes, their second bytes and so on (BYTE_STREAM_SPLIT), integers stored by
their differences: with LZ4 that is smaller than the plain encoding with zstd, and takes a third of the time.
The two columns of names hold an index per footprint.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

_NAMES = ("granule", "beam")


def write_footprints(path: Path, footprints: pl.DataFrame) -> None:
    """Write what `read_granule` gives; the same footprints give the same bytes.

    The columns come back from `pl.read_parquet` with their dtypes, in the same order, without those of dtype
    Null: Parquet would give them back as numbers.

    Args:
        path: of the file.
        footprints: FOOTPRINT_SCHEMA and extra fields.
    """
    footprints = footprints.select(column for column in footprints if column.dtype != pl.Null)
    table = footprints.drop(_NAMES).to_arrow(compat_level=pl.CompatLevel.oldest())
    for name in _NAMES:
        table = table.append_column(name, _encode_names(footprints[name]))
    encodings = {field.name: _encoding(field.type) for field in table.schema if field.name not in _NAMES}
    pq.write_table(
        table.select(footprints.columns),
        path,
        compression="lz4",
        use_dictionary=list(_NAMES),
        column_encoding=encodings,
        write_statistics=["shot_number"],
        # Without it the names come back as strings and not as categories.
        store_schema=False,
    )


def _encoding(dtype: pa.DataType) -> str:
    if pa.types.is_floating(dtype):
        return "BYTE_STREAM_SPLIT"
    return "DELTA_BINARY_PACKED" if pa.types.is_integer(dtype) else "PLAIN"


def _encode_names(names: pl.Series) -> pa.DictionaryArray:
    """Return a column of names that change a few times, as an index and the list of names."""
    runs = names.rle().struct.unnest()
    unique, places = np.unique(runs["value"].to_numpy(), return_inverse=True)
    index = np.repeat(places.astype(np.int32), runs["len"].to_numpy())
    # By way of polars: given numpy's arrays, pyarrow imports pandas first where that is installed.
    indices, texts = _arrow(pl.Series(index)), _arrow(pl.Series(unique, dtype=pl.String))
    return pa.DictionaryArray.from_arrays(indices, texts)


def _arrow(values: pl.Series) -> pa.Array:
    return values.to_arrow(compat_level=pl.CompatLevel.oldest())
