"""Recipes of datasets in an inbox: each is a build of its recipe's name, and its key names its content."""

import hashlib
from pathlib import Path

from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.dataset_recipe import DatasetRecipe, load_recipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.errors import RecipeError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.slug import slug

SUFFIXES = (".yaml", ".yml")
DIGITS = 8


def list_recipes(inbox: Path) -> dict[str, Path]:
    """Return the recipes in an inbox by their keys, `name@digest`, in the order of their names."""
    paths = sorted(path for path in inbox.glob("[!.]*") if path.suffix in SUFFIXES and path.is_file())
    return {recipe_key(path): path for path in paths}


def recipe_key(path: Path) -> str:
    """Return the key of a recipe, which names its content."""
    return f"{slug(path.stem)}@{hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]}"


def receive_recipe(home: FactoryHome, key: str) -> DatasetSettings:
    """Check a recipe of the inbox and save the settings of its build.

    A build of that name keeps its catalog and output folder; a new one has the catalog of the home's GEDI
    build, and a folder of its own in the home.

    Args:
        home: whose inbox it is.
        key: of the recipe.

    Raises:
        RecipeError: it is not in the inbox any more, has values that are not allowed, or is of the GEDI
            dataset.
    """
    dropped = list_recipes(home.recipe_inbox)
    if key not in dropped:
        raise RecipeError(
            f"The recipe {key} is no longer in {home.recipe_inbox}; what was changed there has another key."
        )
    recipe = load_recipe(dropped[key])
    if not isinstance(recipe, DatasetRecipe):
        raise RecipeError(
            f"{dropped[key].name} is a recipe of the GEDI dataset, which `factory create-dataset` builds;"
            " the inbox takes recipes with `labels` of their own."
        )
    if home.dataset_build(recipe.name).exists():
        settings = DatasetSettings.load(home, recipe.name)
        settings = settings.model_copy(update={"recipe": recipe, "received": key})
    else:
        settings = DatasetSettings(
            recipe=recipe,
            output=home.dataset_output(recipe.name),
            catalog=BuildSettings.load(home).catalog,
            received=key,
        )
    settings.save(home)
    return settings
