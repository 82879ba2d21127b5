"""The list of members at the end of a zip, read piece by piece: one member at a time, never all of them.

`zipfile` creates an object for every member before it returns the first, a kilobyte each. Format:
APPNOTE.TXT, 4.3.12 to 4.3.16 and 4.5.3.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from factory_pipeline.archives.source import ArchiveSource
from factory_pipeline.errors import OnboardingError

ENTRY = struct.Struct("<4s6H3L5H2L")
"""A member's entry up to its name: signature, two versions, flags, method, time, date, CRC, packed bytes,
bytes, lengths of name, extra fields and comment, disk, internal and external attributes, offset.
"""
END = struct.Struct("<4s4H2LH")
"""The end: signature, two numbers of disks, two of members, bytes and offset of the list, comment."""
LOCATOR = struct.Struct("<4sLQL")
"""Before the end of an archive with 64-bit numbers: signature, disk, offset of that end, disks."""
END_64 = struct.Struct("<4sQ2H2L4Q")
"""The end with 64-bit numbers; its last two are bytes and offset of the list."""
LONGEST_COMMENT = 0xFFFF
PIECE_BYTES = 1 << 20
UTF_8 = 0x800
"""Flag bit of a name in UTF-8; others are in code page 437, or in UTF-8 too by programs that set no flag."""
UNICODE_PATH = 0x7075
"""Id of the extra field with the name in UTF-8 (APPNOTE.TXT 4.6.9): version, CRC-32 of the name, name."""
SIZES_64 = 1
"""Id of the extra field with the numbers that need 64 bits."""
IN_EXTRA = 0xFFFFFFFF
"""Marks a number that is in that extra field."""


@dataclass(frozen=True)
class _Directory:
    """The position of the list of members."""

    start: int
    bytes: int
    shift: int
    """Bytes before the archive, such as a self-extracting program; offsets count from their end."""


def zip_infos(source: ArchiveSource, most_bytes: int) -> Iterator[zipfile.ZipInfo]:
    """Yield the members of a zip in the order of its list.

    `filename` is the decoded name; `orig_filename` is what `zipfile` compares with the name before the
    member's data.

    Args:
        source: the archive.
        most_bytes: largest allowed size of the list.

    Raises:
        zipfile.BadZipFile: the list is missing or corrupt.
        UnicodeDecodeError: a name is not in its declared encoding.
        OnboardingError: TOO_MANY_MEMBERS for a longer list, and what `source.read` raises.
    """
    directory = _directory(source)
    if directory.bytes > most_bytes:
        raise OnboardingError(
            "TOO_MANY_MEMBERS",
            f"The list of members of {source.url} has {directory.bytes} bytes; {most_bytes} are allowed.",
        )
    buffer, done = b"", 0
    while done < directory.bytes or buffer:
        # An entry and its name, extra fields and comment have less than four times 64 KiB.
        if len(buffer) < 4 * LONGEST_COMMENT and done < directory.bytes:
            wanted = min(PIECE_BYTES, directory.bytes - done)
            piece = source.read(directory.start + done, wanted)
            if len(piece) < wanted:
                raise zipfile.BadZipFile("its list of members is truncated")
            buffer += piece
            done += wanted
        taken = 0
        while (entry := _entry(buffer, taken, directory.shift)) is not None:
            info, taken = entry
            yield info
        if not taken and done == directory.bytes:
            raise zipfile.BadZipFile("its list of members is truncated")
        buffer = buffer[taken:]


def has_directory(source: ArchiveSource) -> bool:
    """Return whether a file ends with the list of members of a zip, whatever it begins with.

    Raises:
        OnboardingError: what `source.read` raises.
    """
    try:
        directory = _directory(source)
    except zipfile.BadZipFile:
        return False
    return source.read(directory.start, 4) in (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06")


def _directory(source: ArchiveSource) -> _Directory:
    size = source.size or 0
    tail_start = max(size - END.size - LONGEST_COMMENT, 0)
    tail = source.read(tail_start, size - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + END.size > len(tail):
        raise zipfile.BadZipFile("it has no list of members")
    *_, length, start, _ = END.unpack_from(tail, at)
    end = tail_start + at
    locator = source.read(end - LOCATOR.size, LOCATOR.size) if end >= LOCATOR.size else b""
    if locator.startswith(b"PK\x06\x07"):
        end -= LOCATOR.size + END_64.size
        raw = source.read(end, END_64.size) if end >= 0 else b""
        if not raw.startswith(b"PK\x06\x06"):
            raise zipfile.BadZipFile("the end of its list of members is broken")
        *_, length, start = END_64.unpack(raw)
    shift = end - length - start
    if shift < 0:
        raise zipfile.BadZipFile("its list of members is outside of it")
    return _Directory(start + shift, length, shift)


def _entry(buffer: bytes, at: int, shift: int) -> tuple[zipfile.ZipInfo, int] | None:
    """Return a member and where the next one starts; None if the buffer does not contain all of it."""
    if at + ENTRY.size > len(buffer):
        return None
    (
        signature,
        _,
        _,
        flags,
        method,
        *_,
        crc,
        packed,
        unpacked,
        name,
        extra,
        comment,
        _,
        _,
        attributes,
        offset,
    ) = ENTRY.unpack_from(buffer, at)
    if signature != b"PK\x01\x02":
        raise zipfile.BadZipFile("its list of members is broken")
    named = at + ENTRY.size
    end = named + name + extra + comment
    if end > len(buffer):
        return None
    raw, extra_fields = buffer[named : named + name], buffer[named + name : named + name + extra]
    info = zipfile.ZipInfo(raw.decode("utf-8" if flags & UTF_8 else "cp437"))
    info.filename = _name(raw, flags, extra_fields)
    info.flag_bits, info.compress_type, info.CRC, info.external_attr = flags, method, crc, attributes
    numbers = iter(_numbers_64(extra_fields))
    try:
        info.file_size, info.compress_size, info.header_offset = [
            next(numbers) if number == IN_EXTRA else number for number in (unpacked, packed, offset)
        ]
    except StopIteration as error:
        raise zipfile.BadZipFile("its list of members lacks a size") from error
    info.header_offset += shift
    return info, end


def _name(raw: bytes, flags: int, extra: bytes) -> str:
    """Return the name of a member; programs such as macOS write UTF-8 without declaring it."""
    if flags & UTF_8:
        return raw.decode("utf-8")
    told = _extra_field(extra, UNICODE_PATH)
    try:
        if len(told) > 5 and int.from_bytes(told[1:5], "little") == zlib.crc32(raw):
            return told[5:].decode("utf-8")
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _numbers_64(extra: bytes) -> tuple[int, ...]:
    """Return the 64-bit numbers of a member, as many as there are."""
    numbers = _extra_field(extra, SIZES_64)
    return struct.unpack_from(f"<{len(numbers) // 8}Q", numbers)


def _extra_field(extra: bytes, wanted: int) -> bytes:
    """Return the content of the first extra field with an id, as much as there is; empty if there is none."""
    at = 0
    while at + 4 <= len(extra):
        field, length = struct.unpack_from("<2H", extra, at)
        if field == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""
