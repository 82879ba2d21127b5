from pathlib import Path
from typing import Any

import pytest
import yaml

from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import RecipeError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.project import DOCS


def recipe_file(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_an_empty_recipe_is_the_default(tmp_path: Path):
    assert Recipe.load(recipe_file(tmp_path, "")) == Recipe()


def test_the_recipe_of_the_docs_is_the_default_with_all_keys():
    page = (DOCS / "gedi-dataset.md").read_text()
    shown = yaml.safe_load(page.split("```yaml recipe\n")[1].split("```")[0])
    recipe = Recipe.parse(shown, where="docs")
    assert recipe == Recipe()
    assert keys(recipe.model_dump()) == keys(shown)


def keys(document: dict[str, Any]) -> set[str]:
    """Dotted names of all keys."""
    below = {
        f"{key}.{each}" for key, value in document.items() if isinstance(value, dict) for each in keys(value)
    }
    return document.keys() | below


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("sentinel2: {max_cloud: 10}", "sentinel2.max_cloud"),
        ("window_size: 31", "window_size"),
        ("batch_size: 0", "batch_size"),
        ("splits: {train: {start: 2020-02-01, end: 2020-01-01}}", "splits.train"),
        ("sentinel2: {checks: {cloud: 25}}", "sentinel2.checks.cloud"),
        ("- a list", "the document: keys with values are needed"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, text: str, named: str):
    with pytest.raises(RecipeError, match=named):
        Recipe.load(recipe_file(tmp_path, text))


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path):
    text = "{batch_size: 0, sentinel2: {max_cloud: 10, max_days: soon}, splits: {train: {start: 2020-01-01}}}"
    with pytest.raises(RecipeError) as error:
        Recipe.load(recipe_file(tmp_path, text))
    assert str(error.value) == (
        f"The recipe {tmp_path / 'recipe.yaml'} is not valid at splits.train.end: it is missing;"
        " at batch_size: it should be greater than or equal to 1;"
        " at sentinel2.max_days: it should be a valid number;"
        " at sentinel2.max_cloud: there is no such key (did you mean max_cloud_cover?)."
    )


def test_splits_that_share_a_day_are_refused(tmp_path: Path):
    text = "splits: {a: {start: 2020-01-01, end: 2020-06-30}, b: {start: 2020-06-30, end: 2020-12-31}}"
    with pytest.raises(RecipeError, match="a and b share the day 2020-06-30"):
        Recipe.load(recipe_file(tmp_path, text))


def test_no_yaml_and_no_file_are_told(tmp_path: Path):
    with pytest.raises(RecipeError, match="is not YAML"):
        Recipe.load(recipe_file(tmp_path, "a: [1"))
    with pytest.raises(RecipeError, match="can't be read"):
        Recipe.load(tmp_path / "none.yaml")


def test_sizes_change_the_recipe_but_not_what_a_batch_holds():
    larger = Recipe().with_sizes(dataset_size_max=10, batch_size=5)
    assert larger.subset.dataset_size_max == 10
    assert larger.batch_size == 5
    assert larger.digest() != Recipe().digest()
    assert larger.extraction_digest() == Recipe().extraction_digest()


def test_what_decides_a_chip_changes_the_extraction_digest():
    default = Recipe()
    other = default.model_copy(update={"footprint_radius": 10.0})
    assert other.extraction_digest() != default.extraction_digest()


def test_settings_survive_the_home(tmp_path: Path):
    home = FactoryHome(tmp_path)
    settings = BuildSettings(granules="s3://bucket/granules", output=tmp_path / "out", workers=3)
    settings.save(home)
    assert BuildSettings.load(home) == settings.model_copy(update={"granule_inbox": home.granule_inbox})


def test_a_new_home_builds_from_its_inbox(tmp_path: Path):
    settings = BuildSettings.load(FactoryHome(tmp_path))
    assert settings.granules == str(tmp_path / "inbox" / "granules")
    assert settings.catalog == "planetary-computer"


def test_broken_settings_are_named(tmp_path: Path):
    home = FactoryHome(tmp_path)
    home.build_file.write_text("granules: []")
    with pytest.raises(RecipeError, match=r"build\.yaml"):
        BuildSettings.load(home)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("4096", "it should be greater than or equal to 1048576"),
        ("lots", "it should be a valid integer"),
    ],
)
def test_a_bound_on_memory_that_is_no_use_is_told(tmp_path: Path, value: str, reason: str):
    home = FactoryHome(tmp_path)
    home.build_file.write_text(f"granules: g\noutput: o\nbytes_in_flight: {value}\n")
    with pytest.raises(RecipeError) as error:
        BuildSettings.load(home)
    assert str(error.value) == (
        f"The build settings {home.build_file} are not valid at bytes_in_flight: {reason}."
    )


def test_what_has_no_option_is_taken_from_the_home(tmp_path: Path):
    home = FactoryHome(tmp_path)
    asked = BuildSettings(granules="new", output=tmp_path / "out")
    assert asked.with_tuning_of(home) == asked
    BuildSettings(granules="old", output=tmp_path, bytes_in_flight=2**26, catalog_patience_s=5).save(home)
    assert asked.with_tuning_of(home) == asked.model_copy(
        update={"bytes_in_flight": 2**26, "catalog_patience_s": 5}
    )
