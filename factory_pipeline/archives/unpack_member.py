"""Unpacking a member of a local zip without `zipfile`, which takes several times as long.

Only what is sound is unpacked here, by libdeflate and ISA-L; `zipfile` unpacks the rest, or says what is
wrong with it. So both accept the same members, and errors are those of `zipfile`.
"""

import struct
import threading
import zipfile
from contextlib import suppress
from io import RawIOBase
from pathlib import Path

import imagecodecs
from isal import isal_zlib

from factory_pipeline.archives.safe_names import ENCRYPTED
from factory_pipeline.archives.source import LocalSource
from factory_pipeline.archives.zip_directory import UTF_8
from factory_pipeline.archives.zip_reader import LOCAL_HEADER

MOST_BYTES = 32 << 20
"""Of a member, packed and unpacked: it is inflated in memory."""
PIECE_BYTES = 1 << 18
"""Stored members are copied in pieces that stay in the processor's cache."""
UNREADABLE = ENCRYPTED | 0x20 | 0x40
"""Flag bits of what `zipfile` refuses too: encrypted members and patches (APPNOTE.TXT 4.4.4)."""


class MemberUnpacker:
    """Writes members of one zip to files; several threads may do so at once."""

    def __init__(self, source: LocalSource) -> None:
        """Take the archive, which must stay open."""
        self._source = source
        self._buffers = threading.local()

    def unpack(self, info: zipfile.ZipInfo, path: Path) -> bool:
        """Write a member to a file that does not exist, in a folder that does.

        Args:
            info: the member's entry in the list of the zip, from `zip_directory.zip_infos`.
            path: of the file.

        Returns:
            Whether the file was written, with exactly the declared bytes and checksum. If not, it does not
            exist: `zipfile` must unpack the member.

        Raises:
            OSError: the file can't be written.
            OnboardingError: as `LocalSource.read`.
        """
        if max(info.file_size, info.compress_size) > MOST_BYTES or info.flag_bits & UNREADABLE:
            return False
        head = self._head(info)
        start = _data_start(head, info)
        if start is None:
            return False
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size:
            return self._copy(info, head, start, path)
        if info.compress_type == zipfile.ZIP_DEFLATED:
            return self._inflate(info, start, path)
        return False

    def _head(self, info: zipfile.ZipInfo) -> memoryview:
        """Return the first bytes of a member, from its header on, in a buffer that is used again."""
        if not hasattr(self._buffers, "piece"):
            self._buffers.piece = memoryview(bytearray(PIECE_BYTES))
        return self._read(self._buffers.piece, info.header_offset)

    def _read(self, buffer: memoryview, start: int) -> memoryview:
        return buffer[: self._source.read_into(buffer, start)]

    def _copy(self, info: zipfile.ZipInfo, head: memoryview, start: int, path: Path) -> bool:
        """Write a stored member."""
        piece = head[start : start + info.file_size]
        left, position, checksum = info.file_size, info.header_offset + start, 0
        with path.open("xb", buffering=0) as file:
            while piece:
                checksum = isal_zlib.crc32(piece, checksum)
                _write(file, piece)
                left -= len(piece)
                position += len(piece)
                piece = self._read(self._buffers.piece[:left], position)
        if left or checksum != info.CRC:
            path.unlink()
            return False
        return True

    def _inflate(self, info: zipfile.ZipInfo, start: int, path: Path) -> bool:
        """Write a deflated member."""
        packed = self._source.read(info.header_offset + start, info.compress_size)
        if len(packed) < info.compress_size or not info.file_size:
            return False
        content: bytes | bytearray = b""
        with suppress(imagecodecs.DeflateError):
            content = imagecodecs.deflate_decode(packed, out=info.file_size, raw=True)
        if len(content) != info.file_size or isal_zlib.crc32(content) != info.CRC:
            return False
        with path.open("xb", buffering=0) as file:
            _write(file, memoryview(content))
        return True


def _data_start(head: memoryview, info: zipfile.ZipInfo) -> int | None:
    """Return where the data starts in the first bytes of a member.

    None if the header before the data is broken, or names another member than the list does.
    """
    try:
        signature, _, flags, *_, name, extra = LOCAL_HEADER.unpack_from(head)
        named = bytes(head[LOCAL_HEADER.size : LOCAL_HEADER.size + name])
        same = named.decode("utf-8" if flags & UTF_8 else "cp437") == info.orig_filename
    except (struct.error, UnicodeDecodeError):
        return None
    start = int(LOCAL_HEADER.size + name + extra)
    sound = signature == b"PK\x03\x04" and not flags & UNREADABLE and start <= len(head)
    return start if sound and same else None


def _write(file: RawIOBase, content: memoryview) -> None:
    """Write all of the content; one call may write less, as on a disk that is almost full."""
    while content:
        content = content[file.write(content) :]
