"""Members that are unpacked without zipfile, with zipfile as oracle."""

import io
import struct
import tempfile
import warnings
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.archives import unpack_member
from factory_pipeline.archives.extract import BROKEN, NO_MEMBERS
from factory_pipeline.archives.source import LocalSource, SourceFile
from factory_pipeline.archives.unpack_member import MemberUnpacker
from factory_pipeline.archives.zip_directory import zip_infos
from factory_pipeline_tests.examples import up_to

CONTENTS = st.binary(max_size=60) | st.binary(min_size=1, max_size=8).map(lambda piece: piece * 50)
METHODS = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
MEMBERS = st.lists(st.tuples(st.sampled_from(["a", "ü/é.tif"]), CONTENTS, METHODS), min_size=1, max_size=3)
DAMAGES = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), max_size=4)


def made_zip(members: list[tuple[str, bytes, int]]) -> bytes:
    """A zip of names, contents and methods."""
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w") as archive:
        warnings.simplefilter("ignore")
        for name, content, method in members:
            archive.writestr(name, content, method)
    return made.getvalue()


def unpacked(content: bytes) -> list[tuple[bytes | None, bytes | None]]:
    """What the members of a zip are unpacked to here, and by zipfile; None where a member is not unpacked."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder, "a.zip"), Path(folder, "out")
        path.write_bytes(content)
        with LocalSource(path) as source, zipfile.ZipFile(SourceFile(source, NO_MEMBERS)) as oracle:
            unpacker = MemberUnpacker(source)
            for info in zip_infos(source, 1 << 20):
                by_zipfile = None
                with suppress(*BROKEN, RuntimeError, OSError), oracle.open(info) as file:
                    by_zipfile = file.read()
                is_written = unpacker.unpack(info, target)
                assert is_written == target.exists()
                found.append((target.read_bytes() if is_written else None, by_zipfile))
                target.unlink(missing_ok=True)
    return found


@settings(max_examples=up_to(200), deadline=None)
@given(members=MEMBERS, piece=st.integers(80, 200))
def test_sound_members_are_unpacked_but_for_unusual_methods(
    members: list[tuple[str, bytes, int]], piece: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpack_member, "PIECE_BYTES", piece)
        found = unpacked(made_zip(members))
    assert [by_zipfile for _, by_zipfile in found] == [content for _, content, _ in members]
    for (here, _), (_, content, method) in zip(found, members, strict=True):
        left_to_zipfile = method == zipfile.ZIP_BZIP2 or (method == zipfile.ZIP_DEFLATED and not content)
        assert here == (None if left_to_zipfile else content)


@settings(max_examples=up_to(400), deadline=None)
@given(members=MEMBERS, damages=DAMAGES, cut=st.integers(0, 20))
def test_of_a_damaged_archive_nothing_is_unpacked_that_zipfile_refuses(
    members: list[tuple[str, bytes, int]], damages: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(made_zip(members))
    for position, change in damages:
        content[position % len(content)] ^= change
    # Bytes lost within the archive move all that follows.
    middle = len(content) // 2
    del content[middle : middle + (cut if cut > 15 else 0)]
    with suppress(*BROKEN):
        for here, by_zipfile in unpacked(bytes(content)):
            assert here in (None, by_zipfile)


def lies(content: bytes, method: int) -> dict[str, bytes]:
    """Zips of one member that say of it what is not so."""
    sound = made_zip([("a.tif", content, method)])
    (listed,) = zipfile.ZipFile(io.BytesIO(sound)).infolist()
    packed, size, crc = listed.compress_size, listed.file_size, listed.CRC

    def told(crc: int, packed: int, size: int) -> bytes:
        start = sound.index(b"PK\1\2") + 16
        return sound[:start] + struct.pack("<3L", crc, packed, size) + sound[start + 12 :]

    return {
        "checksum": told(crc ^ 1, packed, size),
        "larger": told(crc, packed, size + 1),
        "smaller, checksum of all": told(crc, packed, size - 1),
        "smaller, checksum of the part": told(zlib.crc32(content[:-1]), packed, size - 1),
        "fewer packed bytes": told(crc, packed - 1, size),
        "more packed bytes": told(crc, packed + 1, size),
        "beyond the end": told(crc, packed + 10_000, size),
        "another name before the data": sound.replace(b"a.tif", b"b.tif", 1),
        "no header before the data": sound.replace(b"PK\3\4", b"PK\3\5", 1),
        "encrypted": sound.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1", 1),
        "a patch": sound.replace(b"PK\3\4\x14\0\0", b"PK\3\4\x14\0\x20", 1),
    }


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_that_are_not_as_declared(method: int) -> None:
    content = bytes(range(256)) * 40
    assert unpacked(made_zip([("a.tif", content, method)])) == [(content, content)]
    accepted = set()
    for lie, archive in lies(content, method).items():
        ((here, by_zipfile),) = unpacked(archive)
        assert here in (None, by_zipfile), lie
        accepted |= {lie} if here is not None else set()
    # What follows the end of compressed data does not matter, to zipfile neither.
    assert accepted == ({"more packed bytes"} if method == zipfile.ZIP_DEFLATED else set())


def test_a_member_that_is_too_large_for_the_memory_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_member, "MOST_BYTES", 100)
    members = [
        ("a.tif", bytes(101), zipfile.ZIP_STORED),
        ("b.tif", bytes(101), zipfile.ZIP_DEFLATED),
        ("c.tif", bytes(100), zipfile.ZIP_STORED),
    ]
    assert [here for here, _ in unpacked(made_zip(members))] == [None, None, bytes(100)]
