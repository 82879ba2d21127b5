"""How tables name files."""

from pathlib import Path

from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home, resolve


def test_a_file_of_the_home_is_found_after_the_home_was_moved(tmp_path: Path) -> None:
    home, moved = FactoryHome(tmp_path / "home"), FactoryHome(tmp_path / "moved")
    name = relative_to_home(home.root / "datasets" / "a.tif", home)
    assert name == "datasets/a.tif"
    assert resolve(name, moved) == moved.root / "datasets" / "a.tif"


def test_a_file_elsewhere_is_named_by_its_whole_path(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    elsewhere = tmp_path / "homeless" / "a.tif"
    assert relative_to_home(elsewhere, home) == str(elsewhere)
    assert resolve(str(elsewhere), home) == elsewhere
