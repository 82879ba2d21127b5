"""A reader of LitData's chunks by their layout alone: the library needs PyTorch, which isn't there."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", "?")
"""By the number that a chunk says."""


def litdata_items(folder: Path) -> Iterator[dict[str, Any]]:
    """The items of a folder, by what its index says of them."""
    index = json.loads((folder / "index.json").read_text())
    _, tree = json.loads(index["config"]["data_spec"])
    assert tree["type"] == "builtins.dict"
    names, kinds = json.loads(tree["context"]), index["config"]["data_format"]
    assert len(names) == len(kinds) == len(tree["children_spec"])
    for chunk in index["chunks"]:
        content = (folder / chunk["filename"]).read_bytes()
        assert len(content) == chunk["chunk_bytes"]
        count = int(np.frombuffer(content, "<u4", 1)[0])
        assert count == chunk["chunk_size"]
        offsets = np.frombuffer(content, "<u4", count + 1, 4).tolist()
        for start, end in pairwise(offsets):
            sizes = np.frombuffer(content, "<u4", len(names), start).tolist()
            values = content[start + 4 * len(names) : end]
            assert len(values) == sum(sizes)
            ends = np.cumsum(sizes).tolist()
            parts = [values[stop - size : stop] for stop, size in zip(ends, sizes, strict=True)]
            yield {name: value(*part) for name, *part in zip(names, kinds, parts, strict=True)}


def value(kind: str, part: bytes) -> Any:
    if kind == "str":
        return part.decode()
    if kind.startswith("no_header_numpy:"):
        return np.frombuffer(part, DTYPES[int(kind.partition(":")[2])])
    assert kind == "numpy"
    code, dimensions = np.frombuffer(part, "<u4", 2).tolist()
    shape = np.frombuffer(part, "<u4", dimensions, 8).tolist()
    return np.frombuffer(part, DTYPES[code], offset=8 + 4 * dimensions).reshape(shape)
