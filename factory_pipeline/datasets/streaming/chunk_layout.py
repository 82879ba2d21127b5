"""Chunks as LitData has them: https://github.com/Lightning-AI/litdata.

A chunk is the number of its items, where each begins and where the last ends (uint32), and the items; an item
is the sizes of its values (uint32), and the values.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

CODES = {
    name: code
    for code, name in enumerate(
        (
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "float16",
            "float32",
            "float64",
        )
    )
} | {"bool": 13}
"""The number of a dtype in an array's header."""
_DTYPES = {code: np.dtype(name).newbyteorder("<") for name, code in CODES.items()}
TEXT, ARRAY = "str", "numpy"
FLAT = "no_header_numpy:"
"""An array of one dimension has no header: its kind ends with the code of its dtype."""


@dataclass(frozen=True)
class ItemLayout:
    """What the items of a folder of chunks are."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    """Of each value: `str`, `numpy`, or `no_header_numpy:10`."""

    @classmethod
    def of(cls, config: dict[str, Any]) -> Self:
        """Read it from the `config` of an `index.json`.

        Raises:
            ValueError: items are of another kind than a dictionary of texts and arrays, or are compressed.
        """
        if config.get("compression") or config.get("encryption"):
            raise ValueError("its chunks are compressed or encrypted")
        tree = json.loads(config["data_spec"])[1]
        kinds = tuple(config["data_format"])
        if tree["type"] != "builtins.dict" or len(tree["children_spec"]) != len(kinds):
            raise ValueError("its items are no dictionaries of texts and arrays")
        if other := [kind for kind in kinds if kind not in (TEXT, ARRAY) and not kind.startswith(FLAT)]:
            raise ValueError(f"its items have values of the kind {other[0]!r}, not texts and arrays alone")
        return cls(tuple(json.loads(tree["context"])), kinds)

    def spec(self) -> str:
        """Return `data_spec`: a tree whose leaves are the values of an item."""
        leaf: dict[str, Any] = {"type": None, "context": None, "children_spec": []}
        tree = {
            "type": "builtins.dict",
            "context": json.dumps(self.names, ensure_ascii=False),
            "children_spec": [leaf] * len(self.names),
        }
        return json.dumps([1, tree], ensure_ascii=False)

    def encode(self, values: Sequence[Any]) -> bytes:
        """Return an item of texts and arrays, in the order of the names."""
        stored = [
            value.encode()
            if kind == TEXT
            else _encode_array(value)
            if kind == ARRAY
            else value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
            for value, kind in zip(values, self.kinds, strict=True)
        ]
        return struct.pack(f"<{len(stored)}I", *map(len, stored)) + b"".join(stored)

    def decode(
        self, content: bytes | memoryview, start: int = 0, wanted: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Return the values by name of the item that begins at `start`; arrays are copies.

        Args:
            content: of a chunk, or of a part of it.
            start: position of the item.
            wanted: names of the values; None for all.

        Raises:
            ValueError: it is no such item.
        """
        try:
            sizes = struct.unpack_from(f"<{len(self.names)}I", content, start)
            item, at = {}, start + 4 * len(sizes)
            for name, kind, size in zip(self.names, self.kinds, sizes, strict=True):
                if wanted is None or name in wanted:
                    item[name] = _decode(content[at : at + size], kind)
                at += size
        except (struct.error, KeyError) as error:
            raise ValueError(f"an item has another layout than its index says: {error}") from error
        return item


def _encode_array(values: NDArray[Any]) -> bytes:
    header = struct.pack(f"<{2 + values.ndim}I", CODES[values.dtype.name], values.ndim, *values.shape)
    return header + values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def _decode(value: bytes | memoryview, kind: str) -> Any:
    if kind == TEXT:
        return str(value, "utf-8")
    if kind != ARRAY:
        return np.frombuffer(value, _DTYPES[int(kind.removeprefix(FLAT))]).copy()
    code, dimensions = struct.unpack_from("<II", value)
    shape = struct.unpack_from(f"<{dimensions}I", value, 8)
    return np.frombuffer(value, _DTYPES[code], offset=8 + 4 * dimensions).reshape(shape).copy()
