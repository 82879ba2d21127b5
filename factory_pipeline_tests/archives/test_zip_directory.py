"""The list of a zip read member by member, with zipfile as oracle."""

import io
import struct
import tracemalloc
import warnings
import zipfile
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.archives import zip_directory
from factory_pipeline.archives.extract import extract, zip_files
from factory_pipeline.archives.source import LocalSource
from factory_pipeline.archives.zip_directory import zip_infos
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline_tests.onboarding.uploads import hollow_zip, written, zip_of

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
MOST = 1 << 30


def listed(path: Path) -> list[tuple[object, ...]]:
    with LocalSource(path) as source:
        return [facts(info) for info in zip_infos(source, MOST)]


def facts(info: zipfile.ZipInfo) -> tuple[object, ...]:
    return (
        *(info.filename, info.orig_filename, info.file_size, info.compress_size, info.CRC),
        *(info.header_offset, info.flag_bits, info.external_attr, info.compress_type, info.is_dir()),
    )


def made_zip(
    members: list[tuple[str, bytes, bytes]], comment: bytes = b"", method: int = zipfile.ZIP_STORED
) -> bytes:
    """A zip of names, contents and comments."""
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", method) as archive:
        warnings.simplefilter("ignore")
        archive.comment = comment
        for name, content, note in members:
            info = zipfile.ZipInfo(name)
            info.compress_type, info.comment = method, note
            archive.writestr(info, content)
    return made.getvalue()


@given(
    members=st.lists(st.tuples(NAMES, st.binary(max_size=50), st.binary(max_size=20)), max_size=8),
    before=st.binary(max_size=30),
    comment=st.binary(max_size=40),
    piece=st.integers(1, 200),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
def test_members_are_those_that_zipfile_lists(
    tmp_path_factory: pytest.TempPathFactory,
    members: list[tuple[str, bytes, bytes]],
    before: bytes,
    comment: bytes,
    piece: int,
    method: int,
) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    # Nothing may look like the end of the list but the end itself.
    plain = comment.replace(b"PK\5\6", b"").replace(b"PK\6\7", b"")
    path.write_bytes(before.replace(b"PK", b"") + made_zip(members, plain, method))
    with zipfile.ZipFile(path) as archive:
        expected = [facts(info) for info in archive.infolist()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zip_directory, "PIECE_BYTES", piece)
        assert listed(path) == expected


def test_sizes_and_places_of_64_bits(tmp_path: Path) -> None:
    heads = {f"{number}.tif": (b"II*\0", 3_000_000_000 + number) for number in range(4)}
    path = hollow_zip(tmp_path / "big.zip", heads)
    with zipfile.ZipFile(path) as archive:
        expected = [facts(info) for info in archive.infolist()]
    assert listed(path) == expected
    assert path.stat().st_size > 1 << 33


def test_names_in_the_code_page_of_old_systems(tmp_path: Path) -> None:
    content = made_zip([("xx.tif", b"1", b"")]).replace(b"xx.tif", b"\x81\x94.tif")
    (tmp_path / "a.zip").write_bytes(content)
    assert listed(tmp_path / "a.zip")[0][0] == "üö.tif"
    extract(tmp_path / "a.zip", tmp_path / "out", IntakePolicy())
    assert written(tmp_path / "out") == {"üö.tif"}


@pytest.mark.parametrize(
    "break_it",
    [
        lambda stored: stored.replace(b"PK\1\2", b"PK\1\3", 1),
        lambda stored: stored[:-30],
        # The list is said to be longer, and to lie further back, than the archive is long.
        lambda stored: stored[:-10] + struct.pack("<LL", 1 << 20, 0) + stored[-2:],
        lambda stored: stored[:-10] + struct.pack("<LL", 4, 0) + stored[-2:],
        # A size that is said to be in an extra field, which is not there.
        lambda stored: (
            stored[: stored.index(b"PK\1\2") + 20] + b"\xff" * 4 + stored[stored.index(b"PK\1\2") + 24 :]
        ),
    ],
)
def test_a_broken_list_is_refused(tmp_path: Path, break_it) -> None:
    path = zip_of(tmp_path / "a.zip", {f"{number}.tif": b"x" for number in range(3)})
    path.write_bytes(break_it(path.read_bytes()))
    with pytest.raises(OnboardingError) as error:
        extract(path, tmp_path / "out", IntakePolicy())
    assert error.value.code == "NOT_AN_ARCHIVE"
    assert "is corrupt or truncated" in str(error.value)


def test_a_list_longer_than_any_honest_one_is_not_read(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {f"{'long' * 50}{number}.tif": b"x" for number in range(10)})
    policy = IntakePolicy(max_members=1)
    with LocalSource(path) as source, pytest.raises(OnboardingError, match="list of members of") as error:
        deque(zip_files(source, "a.zip", policy))
    assert error.value.code == "TOO_MANY_MEMBERS"


def test_a_comment_that_looks_like_the_end_of_a_larger_archive(tmp_path: Path) -> None:
    content = made_zip([("a.tif", b"one", b"")], comment=b"PK\6\7" + bytes(16))
    (tmp_path / "a.zip").write_bytes(content)
    extract(tmp_path / "a.zip", tmp_path / "out", IntakePolicy())
    assert (tmp_path / "out" / "a.tif").read_bytes() == b"one"


@pytest.mark.integration
def test_a_long_list_is_never_in_memory(tmp_path: Path) -> None:
    count = 20_000
    path = zip_of(tmp_path / "a.zip", {f"tile_{number:06d}.tif": b"" for number in range(count)})
    with LocalSource(path) as source:
        tracemalloc.start()
        try:
            assert sum(1 for _ in zip_infos(source, MOST)) == count
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # zipfile takes 15 MB for as many.
    assert peak < 6 << 20
