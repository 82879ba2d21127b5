"""Names in archives as macOS, Windows and others write them."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from factory_pipeline.archives.extract import extract, zip_files
from factory_pipeline.archives.source import LocalSource
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.checks.file_contents import names_in
from factory_pipeline.onboarding.checks.prescan import prescan
from factory_pipeline_tests.onboarding.uploads import geotiff, local, mask, tar_of, zip_of

NFC, NFD = "é", "e\u0301"
UTF_8 = 0x800


def raw_zip(path: Path, files: Mapping[bytes, bytes], flags: int = 0, extra: bytes = b"") -> Path:
    """A zip of stored members whose names are bytes, as a program that minds no standard writes it."""
    body, listed = b"", b""
    for name, content in files.items():
        sizes = struct.pack("<IIIHH", zlib.crc32(content), len(content), len(content), len(name), len(extra))
        listed += b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, flags, 0, 0, 0) + sizes
        listed += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name + extra
        body += b"PK\x03\x04" + struct.pack("<HHHHH", 20, flags, 0, 0, 0) + sizes + name + extra + content
    end = struct.pack("<4H2LH", 0, 0, len(files), len(files), len(listed), len(body), 0)
    path.write_bytes(body + listed + b"PK\x05\x06" + end)
    return path


def names(archive: Path) -> list[str]:
    """The files of an archive as it is listed, which must be those that it unpacks to."""
    with LocalSource(archive) as source:
        listed = [name for name, _ in zip_files(source, archive.name, IntakePolicy())]
    out = archive.with_suffix(".out")
    extract(archive, out, IntakePolicy())
    assert sorted(listed) == sorted(names_in(out))
    return listed


@pytest.mark.parametrize("flags", [0, UTF_8])
@pytest.mark.parametrize("accent", [NFC, NFD])
def test_names_in_utf_8_are_read_with_its_flag_and_without_and_become_nfc(
    tmp_path: Path, flags: int, accent: str
) -> None:
    archive = raw_zip(tmp_path / "a.zip", {f"for{accent}t/数据.tif".encode(): b"x"}, flags)
    assert names(archive) == [f"for{NFC}t/数据.tif"]


def test_names_that_are_not_utf_8_are_in_code_page_437(tmp_path: Path) -> None:
    assert names(raw_zip(tmp_path / "a.zip", {"caf\u00e9.tif".encode("cp437"): b"x"})) == ["café.tif"]


def test_the_extra_field_with_the_name_in_utf_8_wins_where_it_fits(tmp_path: Path) -> None:
    raw = "café.tif".encode("cp866", "replace")
    told = b"\x01" + struct.pack("<I", zlib.crc32(raw)) + "кафе.tif".encode()
    extra = struct.pack("<HH", 0x7075, len(told)) + told
    assert names(raw_zip(tmp_path / "a.zip", {raw: b"x"}, extra=extra)) == ["кафе.tif"]
    stale = extra.replace(struct.pack("<I", zlib.crc32(raw)), b"\0\0\0\0")
    assert names(raw_zip(tmp_path / "b.zip", {raw: b"x"}, extra=stale)) == [raw.decode("cp437")]


def test_folders_of_windows_are_folders_and_clash_with_nothing(tmp_path: Path) -> None:
    files = {b"data\\": b"", b"data\\images\\": b"", b"data\\images\\a.tif": b"x", b"data/images/b.tif": b"y"}
    assert names(raw_zip(tmp_path / "a.zip", files)) == ["data/images/a.tif", "data/images/b.tif"]


def test_by_products_of_macos_are_left_out(tmp_path: Path) -> None:
    files = {
        "./data/a.tif": b"x",
        "data/.DS_Store": b"",
        "data/Icon\r": b"",
        "__MACOSX/data/._a.tif": b"",
        "__MACOSX/data/._Icon\r": b"",
        "data/._b.tif": b"",
    }
    assert names(zip_of(tmp_path / "a.zip", files)) == ["data/a.tif"]


def test_folders_that_differ_in_capitals_or_accents_are_no_clash(tmp_path: Path) -> None:
    files = {"Data/a.tif": b"x", "data/b.tif": b"y", f"{NFD}/c.tif": b"z", f"{NFC}/d.tif": b"z"}
    assert names(zip_of(tmp_path / "a.zip", files)) == [
        "Data/a.tif",
        "data/b.tif",
        "é/c.tif",
        "é/d.tif",
    ]


@pytest.mark.parametrize(
    "twice", [("Data/a.tif", "data/A.tif"), (f"{NFD}.tif", f"{NFC}.tif"), ("data", "Data/a.tif")]
)
def test_files_that_would_overwrite_one_another_are_refused(tmp_path: Path, twice: tuple[str, str]) -> None:
    archive = zip_of(tmp_path / "a.zip", dict.fromkeys(twice, b"x"))
    with pytest.raises(OnboardingError) as told:
        names(archive)
    assert told.value.code == "NAME_CLASH"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_images_and_labels_pair_however_their_accents_are_coded(tmp_path: Path, kind: str) -> None:
    files = {f"images/for{NFD}t_imag{NFD}.tif": geotiff(), f"labels/for{NFC}t_mask.tif": mask()}
    archive = (zip_of if kind == "zip" else tar_of)(tmp_path / f"a.{kind}", files)
    report = prescan(str(archive), (f"_imag{NFC}.tif",), "_mask.tif", local(tmp_path))
    assert report.passed, [check.message for check in report.checks]
    assert report.files.select("stem").unique().collect().to_series().to_list() == [f"for{NFC}t"]
