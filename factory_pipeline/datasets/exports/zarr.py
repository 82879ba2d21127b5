"""Zarr: a sharded store of version 3 per split, which xarray and zarr open as named arrays.

Arrays whose first dimension is `sample` lie beside each other in the group of the split, as xarray wants it.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from factory_pipeline.datasets.exports.hdf5 import IMAGES
from factory_pipeline.datasets.exports.sample_rows import (
    TEXTS,
    TRANSFORM,
    Columns,
    Row,
    bytes_of,
    check_rows,
    columns_of,
    row_of,
    transform_of_array,
    transform_to_array,
)
from factory_pipeline.datasets.exports.shards import divide
from factory_pipeline.datasets.exports.zarr_arrays import ArrayWriter, ZarrArray
from factory_pipeline.datasets.model.sample import SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent, filled_splits
from factory_pipeline.errors import ExportError

METADATA = "zarr.json"
SAMPLE = "sample"
"""Name of the first dimension."""


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: `train.zarr`, `test.zarr` and `validation.zarr`, those that have samples.

    Raises:
        ExportError: samples of a split differ in size, bands or dtype, so that one array can't hold them.
    """
    for split in filled_splits(version):
        _write_split(version, split, folder / f"{split}.zarr")


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: every row of every array."""
    for split in filled_splits(version):
        store = folder / f"{split}.zarr"
        columns = columns_of(version, split)
        arrays = _arrays(version, split, columns, store)
        bands = _bands(columns, store)
        for path, expected in _metadata(version, split, store, [*arrays.values(), *bands.values()]):
            if json.loads(path.read_text(encoding="utf-8")) != expected:
                raise ExportError(f"{path.relative_to(folder)} differs when it is read back.")
        for column, array in bands.items():
            if list(array.decode(0)) != list(columns[column][0].bands):
                raise ExportError(f"{array.folder.name} of {split}.zarr differs when it is read back.")
        check_rows(version, split, _read_rows(arrays), store.name)


def is_media(path: PurePosixPath) -> bool:  # noqa: ARG001
    """Return False: images and annotations are in one store."""
    return False


def _write_split(version: VersionContent, split: str, store: Path) -> None:
    columns = columns_of(version, split)
    arrays = _arrays(version, split, columns, store)
    writers = {name: ArrayWriter(array) for name, array in arrays.items()}
    for sample in version.samples(split):
        row = row_of(sample, version, columns)
        row[TRANSFORM] = transform_to_array(row[TRANSFORM])
        for name, writer in writers.items():
            writer.append(row[name])
    bands = _bands(columns, store)
    for column, array in bands.items():
        writers[array.folder.name] = ArrayWriter(array)
        for name in columns[column][0].bands:
            writers[array.folder.name].append(name)
    for writer in writers.values():
        writer.close()
    for path, content in _metadata(version, split, store, [*arrays.values(), *bands.values()]):
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def array_name(column: str) -> str:
    """Return the name of a column's array: `image_<modality>`, `mask` or `target`."""
    kind, _, modality = column.partition("/")
    return f"image_{modality}" if kind == IMAGES else kind.removesuffix("s")


def _arrays(version: VersionContent, split: str, columns: Columns, store: Path) -> dict[str, ZarrArray]:
    """Return the array of each column of the rows of a split."""
    count = version.counts[split]
    rows = max(divide(count, bytes_of(columns)))
    texts = {name: ZarrArray(store / name, (count,), None, rows, (SAMPLE,)) for name in TEXTS}
    placed = ZarrArray(store / TRANSFORM, (count, 6), np.dtype(np.float64), rows, (SAMPLE, "a_to_f"))
    return {**texts, TRANSFORM: placed} | {
        name: ZarrArray(
            store / array_name(name),
            (count, *raster.values.shape),
            raster.values.dtype,
            rows,
            (SAMPLE, _band_dimension(name), "y", "x"),
            _attributes(raster),
        )
        for name, (raster, _) in columns.items()
    }


def _bands(columns: Columns, store: Path) -> dict[str, ZarrArray]:
    """Return the array of the names of bands of each column of rasters, by which xarray selects."""
    arrays = {}
    for column, (raster, _) in columns.items():
        dimension, count = _band_dimension(column), len(raster.bands)
        arrays[column] = ZarrArray(store / dimension, (count,), None, count, (dimension,))
    return arrays


def _band_dimension(column: str) -> str:
    return f"band_{array_name(column).removeprefix('image_')}"


def _attributes(raster: SampleRaster) -> dict[str, Any]:
    if raster.nodata is None:
        return {}
    # JSON has no number for it; Zarr writes fill values so.
    return {"nodata": "NaN" if math.isnan(raster.nodata) else raster.nodata}


def _metadata(
    version: VersionContent, split: str, store: Path, arrays: list[ZarrArray]
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the path and content of each `zarr.json`: of the arrays, and of the group, which has them all."""
    for array in arrays:
        yield array.folder / METADATA, array.metadata
    yield (
        store / METADATA,
        {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {
                "dataset": version.dataset,
                "version": version.number,
                "split": split,
                "labels": {label: version.values[label] for label in version.labels},
            },
            "consolidated_metadata": {
                "kind": "inline",
                "must_understand": False,
                "metadata": {array.folder.name: array.metadata for array in arrays},
            },
        },
    )


def _read_rows(arrays: Mapping[str, ZarrArray]) -> Iterator[Row]:
    count, rows = next((array.shape[0], array.rows) for array in arrays.values())
    for number in range(-(-count // rows)):
        columns = [array.decode(number) for array in arrays.values()]
        for values in zip(*columns, strict=False):
            row = dict(zip(arrays, values, strict=True))
            row[TRANSFORM] = transform_of_array(row[TRANSFORM])
            yield row
