"""Arrays of Zarr's version 3, a row at a time: https://zarr-specs.readthedocs.io.

A raster is a chunk, compressed by Blosc, and many are a shard, which is a file: the chunks, then where each
is, then the CRC-32C of that. Of texts (`vlen-utf8`, compressed by zstd) and of few numbers per row, many rows
are a chunk, which is a file.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.errors import ExportError

LEVEL = 5
"""Of Blosc and zstd."""
ABSENT = (1 << 64) - 1
"""Offset and length of a chunk that a shard, the last one, doesn't have."""
CRC_BYTES = 4
_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
_TEXT = "string"


@dataclass
class ZarrArray:
    """An array in a folder, which rows are appended to."""

    folder: Path
    shape: tuple[int, ...]
    """(rows, ...); (rows,) of texts."""
    dtype: np.dtype[Any] | None
    """None of texts."""
    rows: int
    """Rows of a file."""
    dimensions: tuple[str, ...]
    """Name of each dimension."""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_sharded(self) -> bool:
        """Whether each row is a chunk of its own."""
        return len(self.shape) > 2

    @property
    def metadata(self) -> dict[str, Any]:
        """What `zarr.json` says of it."""
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": _TEXT if self.dtype is None else self.dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [self.rows, *self.shape[1:]]},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": "" if self.dtype is None else self.dtype.type(0).item(),
            "codecs": self._codecs(),
            "attributes": dict(self.attributes),
            "dimension_names": list(self.dimensions),
        }

    def path(self, number: int) -> Path:
        """Return the file of a shard, or of a chunk of many rows."""
        return self.folder.joinpath("c", str(number), *("0" for _ in self.shape[1:]))

    def encode(self, rows: Sequence[Any]) -> bytes:
        """Return the chunk of one raster, or of many rows; those that are missing of these are empty or 0."""
        if self.dtype is None:
            texts = [text.encode() for text in rows] + [b""] * (self.rows - len(rows))
            parts = [struct.pack("<I", len(texts))]
            parts += [part for text in texts for part in (struct.pack("<I", len(text)), text)]
            return bytes(imagecodecs.zstd_encode(b"".join(parts), level=LEVEL))
        chunk = np.zeros((1 if self.is_sharded else self.rows, *self.shape[1:]), self.dtype.newbyteorder("<"))
        chunk[: len(rows)] = rows
        return bytes(
            imagecodecs.blosc_encode(
                chunk.tobytes(),
                level=LEVEL,
                compressor="zstd",
                shuffle=1,
                typesize=chunk.itemsize,
                numthreads=1,
            )
        )

    def decode(self, number: int) -> Iterator[Any]:
        """Yield the rows of a file: arrays, or texts.

        Raises:
            ExportError: it is missing or damaged.
        """
        place = self.path(number).relative_to(self.folder.parent)
        try:
            content = self.path(number).read_bytes()
            if self.dtype is None:
                yield from _decode_texts(content)
            elif self.is_sharded:
                yield from self._decode_shard(content)
            else:
                yield from self._decode_numbers(content)
        except (OSError, ValueError, struct.error, imagecodecs.BloscError, imagecodecs.ZstdError) as error:
            raise ExportError(f"{place} was written, but can't be read back: {error}.") from error

    def _codecs(self) -> list[dict[str, Any]]:
        if self.dtype is None:
            zstd = {"name": "zstd", "configuration": {"level": LEVEL, "checksum": False}}
            return [{"name": "vlen-utf8"}, zstd]
        blosc = {
            "cname": "zstd",
            "clevel": LEVEL,
            "shuffle": "shuffle",
            "typesize": self.dtype.itemsize,
            "blocksize": 0,
        }
        codecs = [_LITTLE, {"name": "blosc", "configuration": blosc}]
        if not self.is_sharded:
            return codecs
        sharding = {
            "chunk_shape": [1, *self.shape[1:]],
            "codecs": codecs,
            "index_codecs": [_LITTLE, {"name": "crc32c"}],
            "index_location": "end",
        }
        return [{"name": "sharding_indexed", "configuration": sharding}]

    def _decode_shard(self, content: bytes) -> Iterator[NDArray[Any]]:
        end = len(content) - CRC_BYTES
        index = content[end - 16 * self.rows : end]
        if struct.unpack("<I", content[end:]) != (crc32c(index),):
            raise ValueError("the index of its chunks is not what its checksum is of")
        for start, length in np.frombuffer(index, "<u8").reshape(-1, 2).tolist():
            if start != ABSENT:
                yield from self._decode_numbers(content[start : start + length])

    def _decode_numbers(self, chunk: bytes) -> NDArray[Any]:
        assert self.dtype is not None
        values = np.frombuffer(imagecodecs.blosc_decode(chunk), self.dtype.newbyteorder("<"))
        return values.reshape(-1, *self.shape[1:])


def _decode_texts(content: bytes) -> Iterator[str]:
    decoded = imagecodecs.zstd_decode(content)
    (count,), at = struct.unpack_from("<I", decoded), 4
    for _ in range(count):
        (length,) = struct.unpack_from("<I", decoded, at)
        yield decoded[at + 4 : at + 4 + length].decode()
        at += 4 + length


class ArrayWriter:
    """Appends rows to an array; a raster is written at once, and rows of a common chunk are in memory."""

    def __init__(self, array: ZarrArray) -> None:
        """Begin an array, whose folder must not exist."""
        self.array = array
        self._file: IO[bytes] | None = None
        self._places: list[tuple[int, int]] = []
        """Offset and length of each chunk of the shard that is open."""
        self._rows: list[Any] = []
        """Of a chunk of many rows."""
        self._files = 0

    def append(self, row: Any) -> None:
        """Append a row, a text or an array in the array's shape and dtype; a file that is full is closed."""
        if self.array.is_sharded:
            self._file = self._file or self._open()
            chunk = self.array.encode([row])
            self._places.append((self._file.tell(), len(chunk)))
            self._file.write(chunk)
        else:
            self._rows.append(row)
        if len(self._places) == self.array.rows or len(self._rows) == self.array.rows:
            self.close()

    def close(self) -> None:
        """End the file that is open."""
        if self._rows:
            with self._open() as file:
                file.write(self.array.encode(self._rows))
            self._rows = []
        if self._file is not None:
            places = [*self._places, *[(ABSENT, ABSENT)] * (self.array.rows - len(self._places))]
            index = np.array(places, "<u8").tobytes()
            self._file.write(index + struct.pack("<I", crc32c(index)))
            self._file.close()
            self._file, self._places = None, []

    def _open(self) -> IO[bytes]:
        path = self.array.path(self._files)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files += 1
        return path.open("wb")


def crc32c(content: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _CRC_OF_BYTE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC_OF_BYTE: Sequence[int] = tuple(map(_crc_of_byte, range(256)))
