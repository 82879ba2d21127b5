"""Reading the first bytes of zip members in place: neighbours in one request, none further than needed."""

import bz2
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from factory_pipeline.onboarding.source import Source
from factory_pipeline.positioned import PositionedFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
"""The header before a member's data (APPNOTE.TXT 4.3.7); its last fields are the lengths of what follows."""
HEAD_BYTES = 8 << 10
"""Bytes of a member that are asked for at first; they hold the header of most TIFFs."""
EXTRA_BYTES = 128
"""Room for the extra fields between a member's name and its data."""
LARGEST_GAP = 8 << 10
"""Bytes that are rather received than left out by another request."""
LARGEST_REQUEST = 1 << 20
BLOCK_BYTES = 16 << 10
"""Bytes of each further request."""


@dataclass(frozen=True)
class HeadGroup:
    """Neighbouring members whose first bytes are received by one request."""

    start: int
    end: int
    members: tuple[tuple[str, zipfile.ZipInfo], ...]


def head_groups(members: Mapping[str, zipfile.ZipInfo], size: int) -> Iterator[HeadGroup]:
    """The requests that bring the first bytes of all members.

    Args:
        members: by name.
        size: bytes of the archive.
    """
    group: list[tuple[str, zipfile.ZipInfo]] = []
    start = end = 0
    for name, info in sorted(members.items(), key=lambda member: member[1].header_offset):
        ahead = LOCAL_HEADER.size + len(info.orig_filename.encode(errors="replace")) + EXTRA_BYTES
        first, last = (
            info.header_offset,
            min(info.header_offset + ahead + min(info.compress_size, HEAD_BYTES), size),
        )
        if group and (first > end + LARGEST_GAP or last > start + LARGEST_REQUEST):
            yield HeadGroup(start, end, tuple(group))
            group = []
        if not group:
            start = end = first
        group.append((name, info))
        end = max(end, last)
    if group:
        yield HeadGroup(start, end, tuple(group))


class _Inflater(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class MemberFile(PositionedFile):
    """A member of a zip as a file object; a compressed one is unpacked only as far as is read."""

    def __init__(
        self, source: Source, info: zipfile.ZipInfo, head: bytes, head_start: int, most_unpacked: int
    ) -> None:
        """Open a member.

        Args:
            source: the archive.
            info: the member's entry in the central directory.
            head: bytes of the archive that were received already, from `head_start`.
            head_start: where they lie in the archive.
            most_unpacked: bytes of a compressed member that may be unpacked.
        """
        super().__init__(info.file_size)
        self._source = source
        self._info = info
        self._head, self._head_start = head, head_start
        self._most_unpacked = most_unpacked
        self._blocks: dict[int, bytes] = {}
        self._data_start: int | None = None
        self._unpacked = bytearray()
        self._packed_read = 0
        self._inflater = _inflater(info.compress_type)

    def readinto(self, buffer: "Buffer", /) -> int:
        """Fill the buffer up to the end of the member.

        Raises:
            OSError: the member can't be unpacked, or not so far.
            OnboardingError: what the source raises.
        """
        target = memoryview(buffer).cast("B")
        length = min(len(target), max(self._info.file_size - self._position, 0))
        try:
            data = self._content(self._position, length)
        except (zlib.error, EOFError) as error:
            raise OSError("it can't be unpacked") from error
        target[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _content(self, start: int, length: int) -> bytes:
        if self._inflater is None:
            length = min(length, self._info.compress_size - start)
            return self._archive_bytes(self._data_offset() + start, length)
        while len(self._unpacked) < start + length and self._unpack_more(start + length):
            pass
        return bytes(self._unpacked[start : start + length])

    def _unpack_more(self, wanted: int) -> bool:
        assert self._inflater is not None
        if wanted > self._most_unpacked:
            raise OSError("its header lies too far behind compressed data")
        start = self._data_offset() + self._packed_read
        piece = min(BLOCK_BYTES, self._info.compress_size - self._packed_read)
        if start < self._head_start + len(self._head):
            piece = min(piece, self._head_start + len(self._head) - start)
        if piece <= 0:
            return False
        self._packed_read += piece
        data = self._inflater.decompress(self._archive_bytes(start, piece), self._most_unpacked)
        self._unpacked += data
        return True

    def _data_offset(self) -> int:
        """Where the data starts: the extra fields there need not be those of the central directory."""
        if self._data_start is None:
            raw = self._archive_bytes(self._info.header_offset, LOCAL_HEADER.size)
            if len(raw) < LOCAL_HEADER.size or not raw.startswith(b"PK\x03\x04"):
                raise EOFError("no member lies where the central directory says")
            *_, name, extra = LOCAL_HEADER.unpack(raw)
            self._data_start = self._info.header_offset + LOCAL_HEADER.size + name + extra
        return self._data_start

    def _archive_bytes(self, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        offset = start - self._head_start
        if offset >= 0 and offset + length <= len(self._head):
            return self._head[offset : offset + length]
        first, last = start // BLOCK_BYTES, (start + length - 1) // BLOCK_BYTES
        for index in range(first, last + 1):
            if index not in self._blocks:
                self._blocks[index] = self._source.read(index * BLOCK_BYTES, BLOCK_BYTES)
        data = b"".join(self._blocks[index] for index in range(first, last + 1))
        return data[start - first * BLOCK_BYTES :][:length]


def _inflater(method: int) -> _Inflater | None:
    if method == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS)
    if method == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor()
    return None
