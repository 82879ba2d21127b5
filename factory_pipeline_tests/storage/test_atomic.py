import os
from pathlib import Path

import pytest

from factory_pipeline.storage.atomic import atomic_write, write_settings, write_text
from factory_pipeline.storage.layout import FactoryHome


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
