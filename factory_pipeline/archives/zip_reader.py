"""Reading the first bytes of zip members in place: neighbours in one request, none further than needed."""

import bz2
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from factory_pipeline.archives.source import ArchiveSource
from factory_pipeline.positioned_file import PositionedFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
"""The header before a member's data (APPNOTE.TXT 4.3.7); its last fields are the lengths of what follows."""
HEAD_BYTES = 8 << 10
"""Bytes of a member that are requested first; they contain the header of most TIFFs."""
EXTRA_BYTES = 128
"""Room for the extra fields between a member's name and its data."""
LARGEST_GAP = 8 << 10
"""Gaps of up to so many bytes are received rather than skipped by another request."""
LARGEST_REQUEST = 1 << 20
BLOCK_BYTES = 16 << 10
"""Bytes of each further request."""


@dataclass(frozen=True)
class HeadGroup:
    """Neighbouring members whose first bytes are received by one request."""

    start: int
    end: int
    members: tuple["ZipMember", ...]


class ZipMember(NamedTuple):
    """What is needed to read a member of a zip."""

    name: str
    """As checked, with `/` between folders."""
    method: int
    """Compression method."""
    packed_bytes: int
    bytes: int
    """Size in bytes when unpacked."""
    offset: int
    """Where its local header begins in the archive."""


def head_groups(members: Iterable[ZipMember], size: int) -> Iterator[HeadGroup]:
    """Yield the requests that fetch the first bytes of all members.

    Args:
        members: in the order of their offsets.
        size: bytes of the archive.
    """
    group: list[ZipMember] = []
    start = end = 0
    for member in members:
        ahead = LOCAL_HEADER.size + len(member.name.encode()) + EXTRA_BYTES
        first, last = (
            member.offset,
            min(member.offset + ahead + min(member.packed_bytes, HEAD_BYTES), size),
        )
        if group and (first > end + LARGEST_GAP or last > start + LARGEST_REQUEST):
            yield HeadGroup(start, end, tuple(group))
            group = []
        if not group:
            start = end = first
        group.append(member)
        end = max(end, last)
    if group:
        yield HeadGroup(start, end, tuple(group))


class _Inflater(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class MemberFile(PositionedFile):
    """A member of a zip as a file object; a compressed one is unpacked only as far as is read."""

    def __init__(
        self, source: ArchiveSource, member: ZipMember, head: bytes, head_start: int, most_unpacked: int
    ) -> None:
        """Open a member.

        Args:
            source: the archive.
            member: what to read.
            head: bytes of the archive that were received already, from `head_start`.
            head_start: their offset in the archive.
            most_unpacked: bytes of a compressed member that may be unpacked.
        """
        super().__init__(member.bytes)
        self._source = source
        self._member = member
        self._head, self._head_start = head, head_start
        self._most_unpacked = most_unpacked
        self._blocks: dict[int, bytes] = {}
        self._data_start: int | None = None
        self._unpacked = bytearray()
        self._packed_read = 0
        self._inflater = _inflater(member.method)

    def readinto(self, buffer: "Buffer", /) -> int:
        """Fill the buffer up to the end of the member.

        Raises:
            OSError: the member can't be unpacked, or not that far.
            OnboardingError: what the source raises.
        """
        target = memoryview(buffer).cast("B")
        length = min(len(target), max(self._member.bytes - self._position, 0))
        if length == 0:
            return 0
        try:
            data = self._content(self._position, length)
        except (zlib.error, EOFError) as error:
            raise OSError("it can't be unpacked") from error
        target[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _content(self, start: int, length: int) -> bytes:
        if self._inflater is None:
            length = min(length, self._member.packed_bytes - start)
            return self._archive_bytes(self._data_offset() + start, length)
        while len(self._unpacked) < start + length and self._unpack_more(start + length):
            pass
        return bytes(self._unpacked[start : start + length])

    def _unpack_more(self, wanted: int) -> bool:
        assert self._inflater is not None
        if wanted > self._most_unpacked:
            raise OSError("its header is too far behind compressed data")
        start = self._data_offset() + self._packed_read
        piece = min(BLOCK_BYTES, self._member.packed_bytes - self._packed_read)
        if start < self._head_start + len(self._head):
            piece = min(piece, self._head_start + len(self._head) - start)
        if piece <= 0:
            return False
        self._packed_read += piece
        data = self._inflater.decompress(self._archive_bytes(start, piece), self._most_unpacked)
        self._unpacked += data
        return True

    def _data_offset(self) -> int:
        """Return where the data starts; extra fields there may differ from those of the central directory."""
        if self._data_start is None:
            raw = self._archive_bytes(self._member.offset, LOCAL_HEADER.size)
            if len(raw) < LOCAL_HEADER.size or not raw.startswith(b"PK\x03\x04"):
                raise EOFError("there is no member where the central directory says")
            *_, name, extra = LOCAL_HEADER.unpack(raw)
            self._data_start = self._member.offset + LOCAL_HEADER.size + name + extra
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
