"""Recipes in an inbox: their keys name their content."""

from pathlib import Path

import pytest

from factory_pipeline.builds.recipe_inbox import list_recipes, receive_recipe, recipe_key
from factory_pipeline.errors import RecipeError
from factory_pipeline.storage.layout import FactoryHome


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    home = FactoryHome(tmp_path / "home")
    home.recipe_inbox.mkdir(parents=True)
    return home


def test_recipes_are_listed_by_name_and_content(home: FactoryHome) -> None:
    for name in ("b.yml", "A crop.yaml", ".hidden.yaml", "labels.csv"):
        (home.recipe_inbox / name).write_text(f"name: {name}")
    keys = list(list_recipes(home.recipe_inbox))
    assert [key.split("@")[0] for key in keys] == ["a-crop", "b"]
    path = home.recipe_inbox / "b.yml"
    before = recipe_key(path)
    path.write_text("name: other")
    assert recipe_key(path) != before


def test_a_recipe_that_changed_meanwhile_is_not_built(home: FactoryHome) -> None:
    path = home.recipe_inbox / "a.yaml"
    path.write_text("name: a")
    key = recipe_key(path)
    path.write_text("name: b")
    with pytest.raises(RecipeError, match=f"The recipe {key} is no longer in"):
        receive_recipe(home, key)


def test_a_recipe_with_values_that_are_not_allowed_leaves_nothing(home: FactoryHome) -> None:
    path = home.recipe_inbox / "a.yaml"
    path.write_text("name: a\nlabels: {kind: points}\n")
    with pytest.raises(RecipeError, match="is not valid"):
        receive_recipe(home, recipe_key(path))
    assert home.dataset_build_names() == []
