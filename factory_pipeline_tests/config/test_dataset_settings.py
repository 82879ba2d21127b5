"""The settings of a build are kept in a home, and what is wrong with them is told."""

from pathlib import Path

import pytest

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.errors import RecipeError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.config.test_dataset_recipe import RECIPE


def settings(folder: Path) -> DatasetSettings:
    return DatasetSettings(
        recipe=DatasetRecipe.parse(RECIPE, "of the test"), output=folder / "out", workers=3
    )


def test_they_are_read_as_they_were_saved(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    settings(tmp_path).save(home)
    found = DatasetSettings.load(home, "crops")
    assert found == settings(tmp_path)
    assert found.recipe.digest() == settings(tmp_path).recipe.digest()
    assert found.files.root == tmp_path / "out"


def test_a_build_that_is_not_there_and_settings_that_are_not_valid_are_told(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    with pytest.raises(RecipeError, match="has no build of a recipe named 'crops'"):
        DatasetSettings.load(home, "crops")
    settings(tmp_path).save(home)
    path = home.dataset_build("crops")
    path.write_text(path.read_text().replace('"workers": 3', '"workers": 0'))
    with pytest.raises(RecipeError, match=r"are not valid .*workers"):
        DatasetSettings.load(home, "crops")
