"""A recipe that would fail late, or make a wrong dataset, is refused at once, by its key."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from factory_pipeline.config.dataset_recipe import DatasetRecipe, load_recipe
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import RecipeError

RECIPE: dict[str, Any] = yaml.safe_load("""
name: crops
labels:
  kind: points
  path: fields.csv
  time: {column: surveyed}
  target: {column: crop, classes: {1: Maize, 2: Wheat}}
  keep: ["confidence > 0.8"]
window: {size: 64, pixel_size: 10}
sources:
  sentinel2:
    collection: sentinel-2-l2a
    assets: [B02, B11, SCL]
    time: {periods: 12, length: 30d, start: -180d}
    composite: best_clear
    mask: {asset: SCL, keep: [4, 5]}
    resampling: {SCL: nearest, default: bilinear}
  dem: {collection: cop-dem-glo-30, assets: [data], derive: [slope]}
splits: {by: blocks, block_m: 10000, train: 70, test: 20, validation: 10}
""")


FOLDS = {"by": "column", "column": "fold", "train": ["a"], "test": ["b"]}


def changed(**changes: Any) -> dict[str, Any]:
    """The recipe with other values; `sources__sentinel2__time` is a path, None removes."""
    document = deepcopy(RECIPE)
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[key]
        else:
            place[key] = value
    return document


def test_a_recipe_survives_the_file_that_stores_it() -> None:
    recipe = DatasetRecipe.parse(RECIPE, "test")
    again = DatasetRecipe.parse(json.loads(recipe.canonical_json()), "test")
    assert again == recipe
    assert again.digest() == recipe.digest()
    by_column = {"by": "column", "column": "fold", "train": [1, 2], "test": "x"}
    recipe = DatasetRecipe.parse(changed(splits=by_column, labels__extra=["fold"]), "test")
    assert DatasetRecipe.parse(json.loads(recipe.canonical_json()), "test") == recipe


def test_the_extraction_digest_is_of_what_decides_a_sample() -> None:
    digest = DatasetRecipe.parse(RECIPE, "test").extraction_digest()
    same = {"name": "other", "splits__block_m": 5000, "labels__keep": [], "labels__path": "more.csv"}
    other = {"window__size": 32, "sources__dem": None, "labels__target__classes": {1: "Rye"}}
    assert DatasetRecipe.parse(changed(**same), "test").extraction_digest() == digest
    for path, value in other.items():
        assert DatasetRecipe.parse(changed(**{path: value}), "test").extraction_digest() != digest


def test_the_gedi_dataset_is_one_preset(tmp_path: Path) -> None:
    path = tmp_path / "gedi.yaml"
    path.write_text("labels: {kind: gedi, area: [0, 0, 10, 10]}\nbatch_size: 10\n")
    assert load_recipe(path) == Recipe.model_validate(
        {"footprints": {"area": [0, 0, 10, 10]}, "batch_size": 10}
    )
    path.write_text("")
    assert load_recipe(path) == Recipe()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"sources__dem__collection": "cop-dem-30"},
            r"sources\.dem\.collection: .*did you mean cop-dem-glo-30",
        ),
        (
            {"sources__sentinel2__assets": ["B2"]},
            r"sources\.sentinel2\.assets: .*no asset 'B2' \(did you mean B",
        ),
        ({"sources__sentinel2__resampling": None}, r"resampling: the assets have pixels of different size"),
        ({"labels__time": None}, r"sources\.sentinel2\.time: it depends on the time of each label"),
        ({"sources__sentinel2__time": None}, r"sources\.sentinel2\.time: it is missing"),
        ({"sources__sentinel2__composite": "median"}, "SCL holds categories, which have no median"),
        ({"sources__sentinel2__mask": None}, r"sources\.sentinel2\.mask: it is missing"),
        ({"sources__sentinel2__mask": {"asset": "QA60", "keep": [1]}}, r"mask\.asset: .*no asset 'QA60'"),
        ({"sources__sentinel2__mask": {"asset": "SCL", "keep": [14]}}, r"mask: SCL has no such class"),
        ({"sources__sentinel2__mask": {"asset": "SCL", "clear_bits": [1]}}, r"mask: SCL has no such bit"),
        ({"sources__sentinel2__resampling": {"SCL": "bilinear", "default": "nearest"}}, "by nearest"),
        ({"sources__sentinel2__min_periods": 13}, r"min_periods: there are fewer periods"),
        ({"sources__dem__pixel_size": 7}, r"sources\.dem\.pixel_size: the window of 640 m is not a whole"),
        ({"sources__dem__max_cloud_cover": 10}, "have no cloud cover to choose by"),
        ({"sources__dem__colour": "red"}, r"sources\.dem\.colour: there is no such key"),
        ({"window__crs": {"grid": "landsat"}}, r"window\.crs\.grid: there is no source 'landsat'"),
        ({"splits": {"by": "blocks", "train": 70, "test": 20}}, "add up to 90, not 100"),
        ({"splits": {"by": "column", "train": ["a"]}}, "column goes with by: column and by: given"),
        ({"splits": {"by": "blocks", "train": 100, "blocks": {"train": 100}}}, "blocks goes with by: time"),
        ({"splits": {**FOLDS, "blocks": {"train": 100}}}, "blocks needs percent for train and test"),
        ({"splits": {**FOLDS, "blocks": {"train": 60, "test": 30}}}, "blocks add up to 90, not 100"),
        ({"labels__time": {"start": "from"}}, "give one of column, start and end"),
        ({"sources__sentinel2__time": {"periods": 3}}, "periods need all of periods, length and start"),
        ({"sources__sentinel2__time": {"around": "ten days"}}, "10d"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        DatasetRecipe.parse(changed(**changes), "test")


def test_blocks_of_the_ground_are_part_of_a_recipe_that_names_them_alone() -> None:
    plain = changed(splits=FOLDS, labels__extra=["fold"])
    assert '"blocks":{' not in (told := DatasetRecipe.parse(plain, "test").canonical_json())
    assert '"blocks":null' not in told
    shares = {"train": 60, "test": 40}
    recipe = DatasetRecipe.parse(changed(splits={**FOLDS, "blocks": shares}, labels__extra=["fold"]), "test")
    assert recipe.splits.blocks == shares
    assert DatasetRecipe.parse(json.loads(recipe.canonical_json()), "stored") == recipe


def test_splits_by_time_need_labels_with_a_time() -> None:
    splits = {"by": "time", "train": ["2020-01-01", "2020-12-31"], "test": ["2021-01-01", "2021-12-31"]}
    assert DatasetRecipe.parse(changed(splits=splits), "test").splits.parts.keys() == {"train", "test"}
    fixed = {"between": ["2021-01-01", "2021-12-31"]}
    with pytest.raises(RecipeError, match=r"splits\.by: the labels have no time"):
        DatasetRecipe.parse(changed(splits=splits, labels__time=None, sources__sentinel2__time=fixed), "test")
