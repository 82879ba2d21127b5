"""Members of a zip read in place, with zipfile as oracle."""

import io
import os
import zipfile
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.archives.zip_reader import (
    HEAD_BYTES,
    LARGEST_GAP,
    MemberFile,
    ZipMember,
    head_groups,
)
from factory_pipeline_tests.archives.memory_source import MemorySource

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]


def made(contents: dict[str, bytes], method: int) -> tuple[bytes, list[ZipMember]]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        members = [
            ZipMember(
                each.filename, each.compress_type, each.compress_size, each.file_size, each.header_offset
            )
            for each in archive.infolist()
        ]
    return file.getvalue(), members


@given(
    content=st.binary(max_size=300).map(lambda data: data * 200),
    method=st.sampled_from(METHODS),
    head=st.integers(0, 400),
    reads=st.lists(st.tuples(st.integers(0, 70_000), st.integers(0, 5000)), max_size=4),
)
def test_a_member_is_read_anywhere_as_zipfile_reads_it(
    content: bytes, method: int, head: int, reads: list[tuple[int, int]]
) -> None:
    archive, [member] = made({"a.tif": content}, method)
    file = MemberFile(MemorySource(archive), member, archive[:head], 0, len(content) + 1)
    for start, length in reads:
        file.seek(start)
        assert file.read(length) == content[start : start + length]


def test_nothing_is_read_beyond_the_end() -> None:
    archive, [member] = made({"a.tif": b"four"}, zipfile.ZIP_DEFLATED)
    file = MemberFile(MemorySource(archive), member, b"", 0, 5)
    file.seek(6)
    assert file.read(3) == b""


def test_no_more_of_a_member_is_received_than_is_read() -> None:
    content = os.urandom(200_000)
    archive, [member] = made({"a.tif": content}, zipfile.ZIP_DEFLATED)
    source = MemorySource(archive)
    file = MemberFile(source, member, b"", 0, len(content))
    assert file.read(1000) == content[:1000]
    assert source.bytes_read < 40_000


def test_no_more_is_unpacked_than_is_allowed() -> None:
    archive, [member] = made({"a.tif": bytes(100_000)}, zipfile.ZIP_DEFLATED)
    file = MemberFile(MemorySource(archive), member, b"", 0, 500)
    assert file.read(500) == bytes(500)
    file.seek(400)
    with pytest.raises(OSError, match="too far behind compressed data"):
        file.read(200)


@pytest.mark.parametrize("spoil", ["header", "data"])
def test_a_broken_member_is_told(spoil: str) -> None:
    archive, [member] = made({"a.tif": os.urandom(3000)}, zipfile.ZIP_DEFLATED)
    place = 0 if spoil == "header" else 35
    broken = archive[:place] + b"\xff" * 20 + archive[place + 20 :]
    with pytest.raises(OSError, match="it can't be unpacked"):
        MemberFile(MemorySource(broken), member, b"", 0, 10_000).read(3000)


@given(st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 20_000)), min_size=1, max_size=20))
def test_every_members_head_is_in_one_request_and_neighbours_share_theirs(
    gaps: list[tuple[int, int]],
) -> None:
    members, offset = [], 0
    for number, (gap, size) in enumerate(gaps):
        offset += gap
        members.append(ZipMember(f"{number}.tif", zipfile.ZIP_STORED, size, size, offset))
        offset += size
    groups = list(head_groups(members, offset + 1000))
    assert [member for group in groups for member in group.members] == members
    for group in groups:
        for member in group.members:
            assert group.start <= member.offset
            needed = member.offset + min(member.packed_bytes, HEAD_BYTES)
            assert group.end >= min(needed, offset + 1000)
    for one, other in pairwise(groups):
        assert other.start > one.end + LARGEST_GAP
