"""Paths in a factory home."""

from pathlib import Path

import pytest

from factory_pipeline.errors import HomeError
from factory_pipeline.storage.layout import FactoryHome


def test_the_environment_names_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert FactoryHome.from_environment().root == tmp_path / "factory_home"
    monkeypatch.setenv("FACTORY_HOME", "elsewhere")
    assert FactoryHome.from_environment().root == tmp_path / "elsewhere"


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeError, match="is not a folder; set FACTORY_HOME to another path"):
        FactoryHome(tmp_path / "home").require_folder()


def test_a_command_that_reads_needs_a_home_that_was_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FACTORY_REGISTRY", raising=False)
    home = FactoryHome(tmp_path / "home")
    with pytest.raises(HomeError, match="does not exist: set FACTORY_HOME to another, or create one"):
        home.require_existing()
    assert not home.root.exists()
    home.upload_inbox.mkdir(parents=True)
    home.require_existing()


def test_a_registry_on_a_server_makes_a_new_folder_a_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACTORY_REGISTRY", "postgresql://host/db")
    FactoryHome(tmp_path / "home").require_existing()


def test_the_versions_of_an_upload_are_in_the_folder_of_its_name(tmp_path: Path) -> None:
    files = FactoryHome(tmp_path).upload("trees@1a2b3c4d")
    assert files.finished.root == tmp_path / "datasets" / "trees" / "1a2b3c4d"


def test_content_is_in_the_names_of_tables(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path)
    one, other = (home.collection("trees", digest * 32) for digest in ("ab", "cd"))
    assert one.root.name == "trees-abababab"
    assert one.root != other.root
    assert one.annotations("ab" * 32) != one.annotations("cd" * 32)


def test_builds_are_listed_without_unfinished_files(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path)
    assert home.dataset_build_names() == []
    for name in ("wheat", "maize"):
        home.dataset_build(name).parent.mkdir(exist_ok=True)
        home.dataset_build(name).write_text("{}")
    (tmp_path / "builds" / ".wheat.part.json").write_text("")
    assert home.dataset_build_names() == ["maize", "wheat"]
