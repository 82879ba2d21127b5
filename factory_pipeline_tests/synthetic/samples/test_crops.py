"""The surveyed fields of the sample are of the crops that its scenes show."""

import json
from pathlib import Path

import polars as pl

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.synthetic.samples import crops


def test_each_field_is_of_the_crop_at_its_place(tmp_path: Path) -> None:
    table = pl.read_csv(crops.write_labels(tmp_path, 22), try_parse_dates=True)
    assert table.height == crops.COLUMNS * crops.ROWS
    assert table["field"].is_unique().all()
    there = crops.crop_at(table["lon"].to_numpy(), table["lat"].to_numpy())
    assert table["crop"].to_list() == [crops.CROPS[index] for index in there.tolist()]
    assert set(table["crop"]) == set(crops.CROPS), "every crop is there"
    assert table["confidence"].is_between(0, 1).all()
    assert table["surveyed"].dtype == pl.Date


def test_the_seed_decides_dates_and_nothing_of_the_ground(tmp_path: Path) -> None:
    one, same, other = (
        crops.write_labels(tmp_path / name, seed).read_text() for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == same != other
    places = [[line.split(",")[:3] for line in text.splitlines()] for text in (one, other)]
    assert places[0] == places[1]


def test_its_recipe_reads_the_columns_that_are_written(tmp_path: Path) -> None:
    labels = crops.write_labels(tmp_path, 22)
    (tmp_path / "crops.yaml").write_text(crops.RECIPE)
    recipe = DatasetRecipe.load(tmp_path / "crops.yaml")
    assert json.loads(recipe.canonical_json())["labels"]["kind"] == "points"
    assert Path(recipe.labels.path) == labels  # type: ignore[union-attr, arg-type]
    columns = pl.read_csv(labels).columns
    assert {"surveyed", "crop", *recipe.labels.carried} <= set(columns)
    assert set((recipe.labels.target.classes or {}).values()) <= set(crops.CROPS)  # type: ignore[union-attr]
