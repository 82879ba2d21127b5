"""The settings of a build, as a home keeps them."""

from pathlib import Path

import pytest

from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.errors import RecipeError
from factory_pipeline.storage.layout import FactoryHome


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    """A home without a build."""
    (tmp_path / "home").mkdir()
    return FactoryHome(tmp_path / "home")


def test_a_new_home_builds_from_its_inbox(home: FactoryHome):
    settings = BuildSettings.load(home)
    assert settings.watched == [str(home.granule_inbox)]
    assert settings.output == home.default_output


def test_the_inbox_follows_from_the_home_and_is_not_saved(home: FactoryHome, tmp_path: Path):
    BuildSettings(granules="s3://bucket/granules", output=tmp_path / "out", workers=3).save(home)
    assert "granule_inbox" not in home.build_file.read_text()
    settings = BuildSettings.load(home)
    assert settings.watched == ["s3://bucket/granules", str(home.granule_inbox)]
    assert settings.workers == 3


def test_tuning_comes_from_the_home_and_the_rest_from_the_command(home: FactoryHome, tmp_path: Path):
    BuildSettings(granules="/a", output=tmp_path, max_lost_share=0.5, workers=7).save(home)
    tuned = BuildSettings(granules="/b", output=tmp_path).with_tuning_of(home)
    assert (tuned.granules, tuned.max_lost_share, tuned.workers) == ("/b", 0.5, 2)


def test_a_split_with_a_csv_needs_no_granules(tmp_path: Path):
    settings = BuildSettings(granules="", output=tmp_path, subset_csv={"test": tmp_path / "a.csv"})
    assert settings.splits_from_granules == ["train"]


@pytest.mark.parametrize("text", ["workers: 0", "granules: ["])
def test_settings_that_are_not_valid_are_named(text: str, home: FactoryHome):
    home.build_file.write_text(text)
    with pytest.raises(RecipeError, match="build settings"):
        BuildSettings.load(home)
