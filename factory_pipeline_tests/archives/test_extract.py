import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factory_pipeline.archives.extract import ArchiveKind, archive_kind, extract
from factory_pipeline.archives.safe_names import safe_name
from factory_pipeline.archives.source import LocalSource
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.onboarding.uploads import tar_of, written, zip_of

FILES = {"images/a b.tif": b"one" * 1000, "images/é.v2.tif": b"two", "labels/ü/x..y.tif": b"three"}
POLICY = IntakePolicy()


def refused(archive: Path, target: Path, policy: IntakePolicy = POLICY) -> OnboardingError:
    """The error of an archive, which leaves nothing behind."""
    before = written(target.parent)
    with pytest.raises(OnboardingError) as error:
        extract(archive, target, policy)
    assert written(target.parent) == before
    assert not target.exists()
    assert archive.name in str(error.value)
    return error.value


def tar_member(path: Path, name: str, **attributes: Any) -> Path:
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo(name)
        for key, value in attributes.items():
            setattr(member, key, value)
        archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


@pytest.mark.parametrize("name", ["a.zip", "deflated.zip", "a.tar", "a.tar.gz"])
def test_names_with_blanks_accents_and_dots_come_out_as_they_went_in(tmp_path: Path, name: str) -> None:
    if name.endswith("zip"):
        method = zipfile.ZIP_DEFLATED if name.startswith("deflated") else zipfile.ZIP_STORED
        archive = zip_of(tmp_path / name, FILES, method)
    else:
        archive = tar_of(tmp_path / name, FILES)
    extract(archive, tmp_path / "out", POLICY)
    assert written(tmp_path / "out") == set(FILES)
    assert {file: (tmp_path / "out" / file).read_bytes() for file in FILES} == FILES


def test_a_second_extraction_replaces_the_first(tmp_path: Path) -> None:
    extract(zip_of(tmp_path / "a.zip", FILES), tmp_path / "out", POLICY)
    extract(zip_of(tmp_path / "b.zip", {"other.tif": b"x"}), tmp_path / "out", POLICY)
    assert written(tmp_path / "out") == {"other.tif"}


def test_by_products_of_operating_systems_are_left_out(tmp_path: Path) -> None:
    names = ["__MACOSX/._a.tif", ".DS_Store", "images/._a.tif", "Thumbs.db", "images/a.tif"]
    archive = zip_of(tmp_path / "a.zip", dict.fromkeys(names, b"x"))
    extract(archive, tmp_path / "out", POLICY)
    assert written(tmp_path / "out") == {"images/a.tif"}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../a.tif", "PATH_TRAVERSAL"),
        ("images/../../a.tif", "PATH_TRAVERSAL"),
        ("images\\..\\..\\a.tif", "PATH_TRAVERSAL"),
        ("/etc/a.tif", "ABSOLUTE_PATH"),
        ("\\\\host\\a.tif", "ABSOLUTE_PATH"),
        ("C:\\a.tif", "ABSOLUTE_PATH"),
        ("c:a.tif", "ABSOLUTE_PATH"),
        ("a\x07.tif", "BAD_NAME"),
        ("tile:stream.tif", "BAD_NAME"),
        ("a" * 300 + ".tif", "BAD_NAME"),
        ("more.zip", "NESTED_ARCHIVE"),
        ("a.tif.gz", "NESTED_ARCHIVE"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str, code: str, kind: str) -> None:
    make = zip_of if kind == "zip" else tar_of
    archive = make(tmp_path / f"bad.{kind}", {"good.tif": b"x", name: b"x"})
    assert refused(archive, tmp_path / "out").code == code


@pytest.mark.parametrize(
    "names",
    [
        ("a.tif", "A.tif"),
        ("a.tif", "a.tif"),
        ("\u00e9.tif", "e\u0301.tif"),
        ("a", "a/b.tif"),
        ("a/b.tif", "A"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_some_systems_take_for_one(tmp_path: Path, names: tuple[str, ...], kind: str) -> None:
    archive = tmp_path / f"clash.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as stored:
            for name in names:
                stored.writestr(name, b"x")
    else:
        with tarfile.open(archive, "w") as packed:
            for name in names:
                packed.addfile(tarfile.TarInfo(name))
    assert refused(archive, tmp_path / "out").code == "NAME_CLASH"


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "LINK"),
        ({"type": tarfile.LNKTYPE, "linkname": "b"}, "LINK"),
        ({"type": tarfile.CHRTYPE}, "DEVICE"),
        ({"type": tarfile.FIFOTYPE}, "DEVICE"),
    ],
)
def test_a_tar_with_links_and_devices(tmp_path: Path, attributes: dict[str, Any], code: str) -> None:
    assert refused(tar_member(tmp_path / "bad.tar", "a.tif", **attributes), tmp_path / "out").code == code


@pytest.mark.parametrize(("kind", "code"), [(stat.S_IFLNK, "LINK"), (stat.S_IFCHR, "DEVICE")])
def test_a_zip_with_links_and_devices(tmp_path: Path, kind: int, code: str) -> None:
    info = zipfile.ZipInfo("a.tif")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert refused(tmp_path / "bad.zip", tmp_path / "out").code == code


def test_an_encrypted_zip(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"a.tif": b"x"})
    stored = bytearray(archive.read_bytes())
    stored[stored.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(stored)
    assert refused(archive, tmp_path / "out").code == "ARCHIVE_ENCRYPTED"


def test_a_zip_compressed_by_a_method_that_is_not_read(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"a.tif": b"x" * 99}, zipfile.ZIP_LZMA)
    assert refused(archive, tmp_path / "out").code == "UNSUPPORTED_COMPRESSION"


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_stopped_by_its_ratio(tmp_path: Path, kind: str) -> None:
    content = {"a.tif": bytes(20 << 20)}
    archive = (
        zip_of(tmp_path / "a.zip", content, zipfile.ZIP_DEFLATED)
        if kind == "zip"
        else tar_of(tmp_path / "a.tar.gz", content)
    )
    policy = IntakePolicy(ratio_floor_bytes=1 << 20)
    error = refused(archive, tmp_path / "out", policy)
    assert error.code == "BOMB"
    assert "100 times" in str(error)


def test_a_bomb_that_lies_about_its_size_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"a.tif": bytes(20 << 20)}, zipfile.ZIP_DEFLATED)
    stored = archive.read_bytes().replace((20 << 20).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    archive.write_bytes(stored)
    assert refused(archive, tmp_path / "out", IntakePolicy(max_unpacked_bytes=1 << 20)).code in (
        "BOMB",
        "ARCHIVE_CORRUPT",
    )


def test_the_limit_of_bytes(tmp_path: Path) -> None:
    for archive in (zip_of(tmp_path / "a.zip", FILES), tar_of(tmp_path / "a.tar", FILES)):
        assert refused(archive, tmp_path / "out", IntakePolicy(max_unpacked_bytes=2000)).code == "BOMB"


def test_a_tar_header_that_would_fill_the_memory(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("pax")
        member.type = tarfile.XHDTYPE
        member.size = 16 << 20
        archive.addfile(member, io.BytesIO(bytes(16 << 20)))
    assert refused(tmp_path / "a.tar.gz", tmp_path / "out").code == "BOMB"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_too_many_members(tmp_path: Path, kind: str) -> None:
    make = zip_of if kind == "zip" else tar_of
    archive = make(tmp_path / f"a.{kind}", {f"{number}.tif": b"" for number in range(11)})
    assert refused(archive, tmp_path / "out", IntakePolicy(max_members=10)).code == "TOO_MANY_MEMBERS"


def test_a_limit_of_few_members_allows_large_ones(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"a.tif": bytes(3 << 20)})
    extract(archive, tmp_path / "out", IntakePolicy(max_members=10))
    assert written(tmp_path / "out") == {"a.tif"}


@pytest.mark.parametrize("name", ["empty.zip", "empty.tar", "empty.tar.gz", "nothing.zip"])
def test_empty_archives(tmp_path: Path, name: str) -> None:
    archive = tmp_path / name
    if name.startswith("nothing"):
        archive.touch()
    else:
        (zip_of if name.endswith("zip") else tar_of)(archive, {})
    assert refused(archive, tmp_path / "out").code == "ARCHIVE_EMPTY"


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    archive = tmp_path / "page.zip"
    archive.write_text("<html>Sign in first</html>" * 100)
    assert refused(archive, tmp_path / "out").code == "NOT_AN_ARCHIVE"


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@settings(max_examples=up_to(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_an_archive_cut_off_anywhere_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    make = zip_of if kind == "zip" else tar_of
    whole = make(tmp_path / f"a.{kind}", FILES).read_bytes()
    # A tar ends with two blocks of zeros and more zeros up to 10240 bytes, which may be missing.
    needed = len(gzip.decompress(whole)) if kind == "tar.gz" else len(whole)
    end = needed if kind != "tar" else whole.rindex(b"three") + 5
    cut = tmp_path / f"cut.{kind}"
    cut.write_bytes(whole[: int(share * min(end, len(whole)))])
    refused(cut, tmp_path / "out")


def test_a_broken_member_is_named(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", FILES)
    archive.write_bytes(archive.read_bytes().replace(b"oneone", b"onetwo", 1))
    error = refused(archive, tmp_path / "out")
    assert error.code == "ARCHIVE_CORRUPT"
    assert "images/a b.tif" in str(error)


def test_broken_bzip2_data_is_an_error_of_the_archive(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", FILES, zipfile.ZIP_BZIP2)
    archive.write_bytes(archive.read_bytes().replace(b"1AY&SY", b"1AY&SX", 1))
    error = refused(archive, tmp_path / "out")
    assert error.code == "ARCHIVE_CORRUPT"
    assert "images/a b.tif" in str(error)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: int) -> None:
    archive = zip_of(tmp_path / "a.zip", FILES, method)
    really_open = Path.open

    def on_full_disk(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if mode == "xb":
            return really_open(Path("/dev/full"), "wb")
        return really_open(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", on_full_disk)
    assert refused(archive, tmp_path / "out").code == "DISK_FULL"


@settings(max_examples=up_to(30), deadline=None)
@given(st.text(st.sampled_from("ab./\\:\0 é"), max_size=12) | st.text(max_size=12))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    try:
        safe = safe_name(name, "a.zip")
    except OnboardingError:
        return
    base = Path("/base/folder")
    parts = safe.split("/")
    assert ".." not in parts
    assert not safe.startswith("/")
    assert (base / safe).is_relative_to(base)


@pytest.mark.parametrize("adjusted", [False, True], ids=["as joined", "places corrected"])
def test_a_zip_behind_a_program_that_unpacks_it_is_read(tmp_path: Path, adjusted: bool) -> None:
    program = b"#!/bin/sh\nunzip -q $0\nexit\n" * 100
    path = tmp_path / "a.exe"
    if adjusted:
        path.write_bytes(program)
        with zipfile.ZipFile(path, "a") as archive:
            for name, content in FILES.items():
                archive.writestr(name, content)
    else:
        path.write_bytes(program + zip_of(tmp_path / "a.zip", FILES).read_bytes())
    extract(path, tmp_path / "out", POLICY)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES
    with LocalSource(path) as source:
        assert archive_kind(source) is ArchiveKind.ZIP
