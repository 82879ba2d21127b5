import os
from pathlib import Path

import pytest

from factory_pipeline.errors import WrittenMeanwhileError
from factory_pipeline.storage.atomic import (
    atomic_write,
    file_lock,
    is_held,
    keep_content,
    working_path,
    write_settings,
    write_text,
)
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.stored_path import to_path


def write_half(path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError


def test_a_file_is_there_whole(tmp_path: Path):
    write_text(tmp_path / "deep" / "file.json", "{}")
    assert (tmp_path / "deep" / "file.json").read_text() == "{}"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file.json"]


def test_an_error_leaves_neither_the_file_nor_its_temporary_name(tmp_path: Path):
    with pytest.raises(RuntimeError):
        write_half(tmp_path / "file.h5")
    assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_the_earlier_file(tmp_path: Path):
    write_text(tmp_path / "file.txt", "earlier")
    with pytest.raises(RuntimeError):
        write_half(tmp_path / "file.txt")
    assert (tmp_path / "file.txt").read_text() == "earlier"


def test_a_temporary_name_is_hidden_and_keeps_its_suffix(tmp_path: Path):
    with atomic_write(tmp_path / "train.h5") as temporary:
        temporary.write_bytes(b"")
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".h5"
        assert not list(tmp_path.glob("[!.]*.h5"))


def test_the_home_is_what_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FACTORY_HOME", str(tmp_path))
    assert FactoryHome.from_environment().root == tmp_path
    monkeypatch.delenv("FACTORY_HOME")
    monkeypatch.chdir(tmp_path)
    assert FactoryHome.from_environment().root == tmp_path / "factory_home"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("catalog: https://host/stac", 0o644),
        ("catalog: https://me:s3cr3t@host/stac", 0o600),
        ("catalog: https://host/stac?sig=s3cr3t", 0o600),
    ],
)
def test_settings_with_credentials_are_read_by_their_owner_alone(tmp_path: Path, text: str, mode: int):
    before = os.umask(0o022)
    try:
        write_settings(tmp_path / "build.yaml", text)
    finally:
        os.umask(before)
    assert (tmp_path / "build.yaml").read_text() == text
    assert (tmp_path / "build.yaml").stat().st_mode & 0o777 == mode


def test_on_a_store_a_file_is_there_whole_and_an_error_keeps_the_earlier_one(bucket: Path):
    write_text(bucket / "file.txt", "earlier")
    with pytest.raises(RuntimeError):
        write_half(bucket / "file.txt")
    assert (bucket / "file.txt").read_text() == "earlier"
    assert [path.name for path in bucket.iterdir()] == ["file.txt"]


def write_late(path: Path, meanwhile: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text("late")
        write_text(path, meanwhile)


def test_of_two_writers_at_once_one_wins_and_the_other_is_told(bucket: Path):
    # Once where there is no file before, once where there is one.
    for early in ("early", "early again"):
        with pytest.raises(WrittenMeanwhileError, match=r"^s3://bucket/file\.txt was written by another"):
            write_late(bucket / "file.txt", early)
        assert (bucket / "file.txt").read_text() == early


def test_two_writers_of_the_same_are_both_content(bucket: Path):
    with atomic_write(bucket / "file.txt") as temporary:
        temporary.write_text("same")
        write_text(bucket / "file.txt", "same")
    assert (bucket / "file.txt").read_text() == "same"


def test_content_keeps_its_second_name_when_the_file_is_replaced(tmp_path: Path, bucket: Path):
    for place in (tmp_path, bucket):
        write_text(place / "fused.h5", "first")
        kept = keep_content(place / "fused.h5", place / "collection" / "fused.h5")
        write_text(place / "fused.h5", "second")
        assert kept == place / "collection" / "fused.h5"
        assert kept.read_text() == "first"


def test_content_on_a_store_has_no_second_name_elsewhere(tmp_path: Path, bucket: Path):
    write_text(bucket / "fused.h5", "first")
    assert keep_content(bucket / "fused.h5", tmp_path / "kept.h5") == bucket / "fused.h5"
    assert keep_content(bucket / "fused.h5", to_path("s3://other/kept.h5")) == bucket / "fused.h5"


def test_work_of_one_machine_is_on_its_disk(tmp_path: Path, bucket: Path):
    assert working_path(tmp_path / "a") == tmp_path / "a"
    assert working_path(bucket / "a").is_relative_to(tmp_path / "scratch")
    with file_lock(bucket / ".lock"):
        assert is_held(bucket / ".lock")
    assert not is_held(bucket / ".lock")
    assert list(bucket.iterdir()) == []
