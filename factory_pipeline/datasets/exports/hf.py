"""HF: Arrow files that `datasets.load_from_disk` maps into memory, a row per sample.

https://huggingface.co/docs/datasets: a folder per split with Arrow streams of record batches, and JSON that
says which files are the split and what its columns are. Images, masks and measured values are `Array3D`, an
extension type of that library over nested lists.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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
from factory_pipeline.datasets.exports.shards import divide, list_shards, read_shards, write_index
from factory_pipeline.datasets.model.sample import SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent, filled_splits
from factory_pipeline.errors import ExportError

DATASET_DICT, INFO, STATE = "dataset_dict.json", "dataset_info.json", "state.json"
BATCH_BYTES = 16 << 20
"""About so much is in a record batch, and in memory here."""
EXTENSION = "datasets.features.features.Array3DExtensionType"
"""Name under which the library registers the type of `Array3D`."""


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: a folder per split that has samples, `dataset_dict.json` and `index.json`.

    Raises:
        ExportError: samples of a split differ in size, bands or dtype, so that one column can't hold them.
    """
    shards: dict[str, Sequence[dict[str, Any]]] = {}
    for split in filled_splits(version):
        shards[split] = _write_split(version, split, folder / split)
    _write_json(folder / DATASET_DICT, {"splits": list(shards)})
    write_index(version, folder, shards)


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: every row of every shard."""
    shards = read_shards(folder)
    for split in filled_splits(version):
        paths = [folder / shard["file"] for shard in shards.get(split, ())]
        columns = columns_of(version, split)
        if _read_json(folder / split / INFO) != _info(version, columns):
            raise ExportError(f"{split}/{INFO} differs when it is read back.")
        if _read_json(folder / split / STATE) != _state(split, paths):
            raise ExportError(f"{split}/{STATE} differs when it is read back.")
        check_rows(version, split, _read_rows(paths, columns), split)


def is_media(path: PurePosixPath) -> bool:  # noqa: ARG001
    """Return False: images and annotations are in the same files."""
    return False


def _write_split(version: VersionContent, split: str, folder: Path) -> list[dict[str, Any]]:
    folder.mkdir()
    columns = columns_of(version, split)
    schema = _schema(version, columns)
    samples = version.samples(split)
    sizes = divide(version.counts[split], bytes_of(columns))
    paths = [folder / f"data-{number:05d}-of-{len(sizes):05d}.arrow" for number in range(len(sizes))]
    in_batch = max(1, BATCH_BYTES // max(bytes_of(columns), 1))
    for path, size in zip(paths, sizes, strict=True):
        with path.open("wb") as out, pa.ipc.new_stream(out, schema) as stream:
            for start in range(0, size, in_batch):
                some = islice(samples, min(in_batch, size - start))
                rows = [row_of(sample, version, columns) for sample in some]
                arrays = [_array(field, [row[field.name] for row in rows]) for field in schema]
                stream.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    _write_json(folder / INFO, _info(version, columns))
    _write_json(folder / STATE, _state(split, paths))
    return list_shards(split, paths, sizes)


def _info(version: VersionContent, columns: Columns) -> dict[str, Any]:
    return {
        "citation": "",
        "description": f"{version.dataset} {version.number}",
        "features": _features(columns),
        "homepage": "",
        "license": ", ".join(sorted({str(each["license"]) for each in version.credits})),
    }


def _state(split: str, paths: Sequence[Path]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return {
        "_data_files": [{"filename": path.name} for path in paths],
        # What the library makes of a dataset is kept by this: the same rows have the same one.
        "_fingerprint": digest.hexdigest()[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }


def _features(columns: Columns) -> dict[str, Any]:
    features: dict[str, Any] = {name: {"dtype": "string", "_type": "Value"} for name in TEXTS}
    features[TRANSFORM] = {"feature": {"dtype": "float64", "_type": "Value"}, "_type": "List"}
    for name, (raster, _) in columns.items():
        shape, dtype = list(raster.values.shape), str(raster.values.dtype)
        features[name] = {"shape": shape, "dtype": dtype, "_type": "Array3D"}
    return features


def _schema(version: VersionContent, columns: Columns) -> pa.Schema:
    fields = [pa.field(name, pa.string()) for name in TEXTS]
    fields.append(pa.field(TRANSFORM, pa.list_(pa.float64())))
    for name, (raster, _) in columns.items():
        values = raster.values
        stored = pa.from_numpy_dtype(values.dtype)
        for _ in values.shape:
            stored = pa.list_(stored)
        facts = {
            "ARROW:extension:name": EXTENSION,
            "ARROW:extension:metadata": json.dumps([list(values.shape), str(values.dtype)]),
        }
        fields.append(pa.field(name, stored, metadata=facts))
    info = {"features": _features(columns), "description": _info(version, columns)["description"]}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": info}, ensure_ascii=False)})


def _array(field: pa.Field, values: list[Any]) -> pa.Array:
    return _nested(np.stack(values)) if isinstance(values[0], np.ndarray) else pa.array(values, field.type)


def _nested(values: NDArray[Any]) -> pa.Array:
    """Return arrays of one shape, (rows, bands, height, width), as lists of lists of lists of numbers."""
    array = pa.array(values.reshape(-1))
    for length in reversed(values.shape[1:]):
        array = pa.ListArray.from_arrays(np.arange(0, len(array) + 1, length, dtype=np.int32), array)
    return array


def _read_rows(paths: Sequence[Path], columns: Columns) -> Iterator[Row]:
    for path in paths:
        try:
            with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
                for batch in stream:
                    table = {
                        name: _values(batch.column(name), columns.get(name)) for name in batch.schema.names
                    }
                    for row in range(batch.num_rows):
                        yield {name: values[row] for name, values in table.items()}
        except (OSError, ValueError, pa.ArrowInvalid) as error:
            raise ExportError(f"{path.name} was written, but can't be read back: {error}.") from error


def _values(array: pa.Array, column: tuple[SampleRaster, str] | None) -> Any:
    if column is None:
        return array.to_pylist()
    # Where the library is imported, pyarrow knows its type.
    numbers = array.storage if isinstance(array, pa.ExtensionArray) else array
    while isinstance(numbers, pa.ListArray):
        numbers = numbers.flatten()
    return numbers.to_numpy(zero_copy_only=False).reshape(-1, *column[0].values.shape)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
