"""Parquet: a table per split with images, masks and measured values as tensors of a fixed shape.

The columns are Arrow's canonical extension `arrow.fixed_shape_tensor`, which pyarrow, Hugging Face datasets
and others read as arrays: https://arrow.apache.org/docs/format/CanonicalExtensions.html. Readers that don't
know it see lists of numbers.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from factory_pipeline.datasets.exports.sample_rows import (
    TEXTS,
    TRANSFORM,
    Columns,
    Row,
    bytes_of,
    check_rows,
    columns_of,
    row_of,
)
from factory_pipeline.datasets.model.version_content import VersionContent, filled_splits
from factory_pipeline.errors import ExportError

GROUP_BYTES = 64 << 20
"""About so much is in a row group: what a reader of one sample reads, and what is in memory here."""


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: `train.parquet`, `test.parquet` and `validation.parquet`, those that have samples.

    Raises:
        ExportError: samples of a split differ in size, bands or dtype, so that one column can't hold them.
    """
    for split in filled_splits(version):
        _write_split(version, split, folder / f"{split}.parquet")


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: every row."""
    for split in filled_splits(version):
        check_rows(version, split, _read_rows(folder / f"{split}.parquet"), f"{split}.parquet")


def is_media(path: PurePosixPath) -> bool:  # noqa: ARG001
    """Return False: images and annotations are in one file."""
    return False


def _write_split(version: VersionContent, split: str, path: Path) -> None:
    columns = columns_of(version, split)
    each = bytes_of(columns)
    schema = _schema(version, split, columns)
    samples = version.samples(split)
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        while some := list(islice(samples, max(1, GROUP_BYTES // max(each, 1)))):
            rows = [row_of(sample, version, columns) for sample in some]
            arrays = [_array(schema.field(number), rows) for number in range(len(schema))]
            file.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=len(rows))


def _schema(version: VersionContent, split: str, columns: Columns) -> pa.Schema:
    fields = [pa.field(name, pa.string()) for name in TEXTS]
    fields.append(pa.field(TRANSFORM, pa.list_(pa.float64())))
    for name, (raster, _) in columns.items():
        dtype = pa.fixed_shape_tensor(pa.from_numpy_dtype(raster.values.dtype), raster.values.shape)
        facts = {"bands": json.dumps(raster.bands, ensure_ascii=False), "nodata": json.dumps(raster.nodata)}
        fields.append(pa.field(name, dtype, metadata=facts))
    labels = {label: version.values[label] for label in version.labels}
    return pa.schema(
        fields,
        metadata={
            "dataset": version.dataset,
            "version": version.number,
            "split": split,
            "labels": json.dumps(labels, ensure_ascii=False),
        },
    )


def _array(field: pa.Field, rows: list[Row]) -> pa.Array:
    values = [row[field.name] for row in rows]
    if isinstance(field.type, pa.FixedShapeTensorType):
        return pa.FixedShapeTensorArray.from_numpy_ndarray(np.stack(values))
    return pa.array(values, field.type)


def _read_rows(path: Path) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number).combine_chunks()
                columns = {
                    name: _values(table.column(name).combine_chunks(), table.num_rows)
                    for name in table.column_names
                }
                for row in range(table.num_rows):
                    yield {name: values[row] for name, values in columns.items()}
    except (OSError, pa.ArrowInvalid) as error:
        raise ExportError(f"{path.name} was written, but can't be read back: {error}.") from error


def _values(column: Any, rows: int) -> Any:
    array = column.chunk(0) if isinstance(column, pa.ChunkedArray) and rows else column
    return array.to_numpy_ndarray() if isinstance(array, pa.FixedShapeTensorArray) else array.to_pylist()
