"""LitData: a folder per split of chunks that `litdata.StreamingDataset` streams from a disk or a bucket.

`index.json` lists the chunks and says what an item is; see `streaming.chunk_layout`. They are written by this
and not by the library, which needs PyTorch.
"""

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

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
from factory_pipeline.datasets.exports.shards import INDEX, divide, list_shards, read_shards, write_index
from factory_pipeline.datasets.model.version_content import VersionContent, filled_splits
from factory_pipeline.datasets.streaming.chunk_layout import ARRAY, CODES, FLAT, TEXT, ItemLayout
from factory_pipeline.errors import ExportError

CHUNK_BYTES = 64 << 20
"""About so much is in a chunk: LitData's own default."""


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: a folder per split that has samples, and `index.json` of them all.

    Raises:
        ExportError: samples of a split differ in size, bands or dtype, so that a batch can't hold them.
    """
    shards: dict[str, list[dict[str, Any]]] = {}
    for split in filled_splits(version):
        shards[split] = _write_split(version, split, folder / split)
    write_index(version, folder, shards)


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: every item of every chunk."""
    for split in filled_splits(version):
        shards = read_shards(folder).get(split, ())
        paths = [folder / shard["file"] for shard in shards]
        columns = columns_of(version, split)
        sizes = [shard["samples"] for shard in shards]
        if json.loads((folder / split / INDEX).read_text(encoding="utf-8")) != _index(paths, sizes, columns):
            raise ExportError(f"{split}/{INDEX} differs when it is read back.")
        check_rows(version, split, _read_rows(paths, columns), split)


def is_media(path: PurePosixPath) -> bool:  # noqa: ARG001
    """Return False: images and annotations are in the same files."""
    return False


def _write_split(version: VersionContent, split: str, folder: Path) -> list[dict[str, Any]]:
    folder.mkdir()
    columns = columns_of(version, split)
    sizes = divide(version.counts[split], bytes_of(columns), CHUNK_BYTES)
    paths = [folder / f"chunk-0-{number}.bin" for number in range(len(sizes))]
    samples, layout = version.samples(split), _layout(columns)
    for path, size in zip(paths, sizes, strict=True):
        with path.open("wb") as file:
            offsets = [4 * (size + 2)]
            file.seek(offsets[0])
            for _ in range(size):
                item = layout.encode(_values(row_of(next(samples), version, columns), columns))
                file.write(item)
                offsets.append(offsets[-1] + len(item))
            if offsets[-1] >= 1 << 32:
                raise ExportError(
                    f"{split}/{path.name} would have {offsets[-1]:,} bytes, and in this format a chunk has"
                    " less than 4 GiB: export smaller images."
                )
            file.seek(0)
            file.write(np.array([size, *offsets], "<u4").tobytes())
    index = json.dumps(_index(paths, sizes, columns), indent=1, ensure_ascii=False)
    (folder / INDEX).write_text(index + "\n", encoding="utf-8")
    return list_shards(split, paths, sizes)


def _index(paths: Sequence[Path], sizes: Sequence[int], columns: Columns) -> dict[str, Any]:
    """Return what the library asks: the sizes of chunks, and what an item is."""
    layout = _layout(columns)
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return {
        "chunks": [
            {"chunk_bytes": path.stat().st_size, "chunk_size": size, "dim": None, "filename": path.name}
            for path, size in zip(paths, sizes, strict=True)
        ],
        "config": {
            "chunk_bytes": CHUNK_BYTES,
            "chunk_size": None,
            "compression": None,
            "data_format": list(layout.kinds),
            "data_spec": layout.spec(),
            "encryption": None,
            "item_loader": "PyTreeLoader",
        },
        # The library keeps what it has fetched by this: here it stands for the content, not for a time.
        "updated_at": digest.hexdigest()[:16],
    }


def _layout(columns: Columns) -> ItemLayout:
    placed = f"{FLAT}{CODES['float64']}"
    kinds = (*(TEXT for _ in TEXTS), placed, *(ARRAY for _ in columns))
    return ItemLayout((*TEXTS, TRANSFORM, *columns), kinds)


def _values(row: Row, columns: Columns) -> list[Any]:
    """Return the values of an item; the transform of what has none is NaN."""
    return [
        *(row[name] for name in TEXTS),
        transform_to_array(row[TRANSFORM]),
        *(row[name] for name in columns),
    ]


def _read_rows(paths: Sequence[Path], columns: Columns) -> Iterator[Row]:
    layout = _layout(columns)
    for path in paths:
        try:
            content = path.read_bytes()
            (count,) = struct.unpack_from("<I", content)
            for start in struct.unpack_from(f"<{count}I", content, 4):
                row: Row = layout.decode(content, start)
                row[TRANSFORM] = transform_of_array(row[TRANSFORM])
                yield row
        except (OSError, ValueError, struct.error) as error:
            raise ExportError(f"{path.name} was written, but can't be read back: {error}.") from error
