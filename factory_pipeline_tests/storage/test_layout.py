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


def test_a_working_directory_that_was_removed_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(HomeError, match="was removed: change to one that exists"):
        FactoryHome.at("factory_home")
    assert FactoryHome.at(tmp_path / "home").root == tmp_path / "home"


def test_a_path_that_is_no_text_in_this_locale_is_no_home() -> None:
    # As Python has the bytes of an umlaut under LC_ALL=C with PYTHONUTF8=0.
    with pytest.raises(HomeError, match=r"h.udcc3.udcb6' is not UTF-8: .* PYTHONUTF8=1"):
        FactoryHome.at(b"h\xc3\xb6".decode("ascii", "surrogateescape"))


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


def test_runs_are_listed_by_their_lock_files(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path)
    assert home.locked_runs() == []
    for run_id in ("2b", "1a"):
        home.run_lock(run_id).parent.mkdir(parents=True, exist_ok=True)
        home.run_lock(run_id).touch()
    assert home.locked_runs() == ["1a", "2b"]


@pytest.mark.usefixtures("bucket")
def test_a_home_on_a_store_keeps_what_is_of_one_machine_on_its_disk(tmp_path: Path):
    home = FactoryHome.at("s3://bucket/home")
    assert home.is_remote
    assert str(home.version("v1").manifest) == "s3://bucket/home/versions/v1/manifest.parquet"
    for path in (home.dagster, home.ui_log, home.run_lock("1"), home.studio.root):
        assert type(path) is type(Path())
        assert path.is_relative_to(tmp_path / "scratch")


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("named", [None, "", "/data/registry.db", "sqlite:////data/registry.db"])
def test_a_home_on_a_store_needs_a_registry_in_postgresql(monkeypatch, named: str | None):
    if named is None:
        monkeypatch.delenv("FACTORY_REGISTRY", raising=False)
    else:
        monkeypatch.setenv("FACTORY_REGISTRY", named)
    home = FactoryHome.at("s3://bucket/home")
    for ask in (home.require_folder, home.require_existing, lambda: home.registry_address):
        with pytest.raises(HomeError, match=r"^The factory home s3://bucket/home is on an object store"):
            ask()


@pytest.mark.usefixtures("bucket")
def test_a_registry_in_postgresql_is_that_of_any_home(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("FACTORY_REGISTRY", "postgresql://user@host/database")
    for home in (FactoryHome.at("s3://bucket/home"), FactoryHome.at(tmp_path)):
        home.require_folder()
        home.require_existing()
        assert home.registry_address == "postgresql://user@host/database"
    monkeypatch.delenv("FACTORY_REGISTRY")
    assert FactoryHome.at(tmp_path).registry_address == tmp_path / "registry.db"
