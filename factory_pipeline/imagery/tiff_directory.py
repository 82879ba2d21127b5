"""The directory of a TIFF: what it says of the pixels, and where they lie in the file and on the ground.

Files of one dataset mostly differ in their pixels and their place alone. What else their directories say is
`TiffDirectory.layout`, by which what was found out about one file is known of all others of the same layout.
"""

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from operator import add
from typing import IO

MOST_ENTRIES = 256
MOST_VALUE_BYTES = 16 << 10
"""Of one entry; a directory with a larger one is not read."""
FIRST_BYTES = 4 << 10
"""Bytes of a directory that are read at first: its entries and the values behind them, mostly."""
STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES = 273, 279, 324, 325
TIE_POINT = 33922
GDAL_METADATA = 42112
_ITEM_OF_FILE = re.compile(
    rb'(<Item name="(?!AREA_OR_POINT"|NODATA_VALUES")[^"]*">)[\x20-\x25\x27-\x3b\x3d-\x7e]*(?=</Item>)'
)
"""An item of GDAL's metadata that says something of the file, such as a number or a date.

Not of a band or a domain, which are attributes, nor one that changes how the file is read. A value with other
characters than printable ASCII, or an escaped one, could be an error of XML.
"""
_ITEM = {1: "B", 2: "s", 3: "H", 4: "I", 6: "b", 7: "s", 8: "h", 9: "i", 11: "f", 12: "d", 16: "Q", 17: "q"}
_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
"""Bytes of a value by its type."""


@dataclass(frozen=True)
class TiffDirectory:
    """The only directory of a TIFF or BigTIFF."""

    order: str
    """`<` for little-endian numbers, `>` for big-endian ones."""
    layout: tuple[object, ...]
    """All that the directory says, except where blocks and the raster lie and what describes the file; equal
    for files of one layout."""
    values: dict[int, tuple[int, int, bytes]]
    """Type, number of values and their bytes, by tag."""
    offsets: tuple[int, ...]
    """Position of each block in the file."""
    byte_counts: tuple[int, ...]
    """Size of each block in bytes."""
    tie_point: tuple[float, ...] | None
    """Column, row and level, then x, y and z of one point of the raster; None unless there is exactly one."""

    def numbers(self, tag: int) -> tuple[float, ...]:
        """Return the values of a tag; empty if the directory has none, or they are not numbers."""
        if tag not in self.values:
            return ()
        kind, count, raw = self.values[tag]
        letter = _ITEM.get(kind, "s")
        return () if letter == "s" else struct.unpack(f"{self.order}{count}{letter}", raw)


def read_directory(file: IO[bytes]) -> TiffDirectory | None:
    """Read the directory of a TIFF.

    Args:
        file: binary and seekable.

    Returns:
        None for what is no TIFF, or one that is damaged, has several directories, or blocks that are missing
        or go beyond the file's end: GDAL knows what to do with these.

    Raises:
        OSError: what reading the file raises.
        OnboardingError: the same.
    """
    size = file.seek(0, io.SEEK_END)
    try:
        return _read(file, size)
    except (struct.error, KeyError):
        return None


def _read(file: IO[bytes], size: int) -> TiffDirectory | None:
    head = _bytes_at(file, 0, 16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    version = struct.unpack_from(f"{order}H", head, 2)[0]
    if version not in (42, 43):
        return None
    is_big = version == 43
    (start,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", head, 8 if is_big else 4)
    number, entry, place = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHI4s", "I")
    counter, fields = struct.Struct(order + number), struct.Struct(order + entry)
    window = _bytes_at(file, start, FIRST_BYTES)
    (count,) = counter.unpack_from(window)
    end = counter.size + count * fields.size
    if count > MOST_ENTRIES or len(window) < end + struct.calcsize(place):
        return None
    if struct.unpack_from(order + place, window, end)[0]:
        return None
    values: dict[int, tuple[int, int, bytes]] = {}
    for tag, kind, items, inline in fields.iter_unpack(window[counter.size : end]):
        length = _BYTES[kind] * items
        if tag in values or length > MOST_VALUE_BYTES:
            return None
        if length <= len(inline):
            raw = inline[:length]
        else:
            (at,) = struct.unpack(order + place, inline)
            inside = start <= at and at + length <= start + len(window)
            raw = window[at - start : at - start + length] if inside else _bytes_at(file, at, length)
            if len(raw) < length:
                return None
        values[tag] = kind, items, raw
    return _directory(order, values, size)


def _directory(order: str, values: dict[int, tuple[int, int, bytes]], size: int) -> TiffDirectory | None:
    tags = (STRIP_OFFSETS, STRIP_BYTES) if STRIP_OFFSETS in values else (TILE_OFFSETS, TILE_BYTES)
    offsets, byte_counts = (_integers(order, values[tag]) for tag in tags)
    if len(offsets) != len(byte_counts) or not offsets:
        return None
    if not all(offsets) or not all(byte_counts) or max(map(add, offsets, byte_counts)) > size:
        return None
    tie = None
    if TIE_POINT in values and values[TIE_POINT][:2] == (12, 6):
        tie = struct.unpack(f"{order}6d", values[TIE_POINT][2])
    moving = {*tags} if tie is None else {*tags, TIE_POINT}
    layout = (order, *_layout(values, moving))
    return TiffDirectory(order, layout, values, offsets, byte_counts, tie)


def _layout(values: dict[int, tuple[int, int, bytes]], moving: set[int]) -> Iterator[object]:
    for tag, (kind, count, raw) in values.items():
        if tag in moving:
            yield tag, count
        elif tag == GDAL_METADATA:
            yield tag, kind, _ITEM_OF_FILE.sub(rb"\1", raw)
        else:
            yield tag, kind, count, raw


def _integers(order: str, value: tuple[int, int, bytes]) -> tuple[int, ...]:
    kind, count, raw = value
    return struct.unpack(f"{order}{count}{ {3: 'H', 4: 'I', 16: 'Q'}[kind] }", raw)


def _bytes_at(file: IO[bytes], start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)
