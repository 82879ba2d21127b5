"""Windows of different splits never overlap, however the recipe divides them."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
import shapely

from factory_pipeline.builds.labels.label_table import LABEL_SCHEMA
from factory_pipeline.builds.labels.label_windows import windows_around
from factory_pipeline.builds.labels.split_labels import split_labels
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.errors import RecipeError

DOCUMENT: dict[str, Any] = {
    "name": "sites",
    "labels": {"kind": "points", "path": "a.csv", "time": {"column": "at"}, "extra": ["fold"]},
    "window": {"size": 64, "pixel_size": 10},
    "sources": {"dem": {"collection": "cop-dem-glo-30", "assets": ["data"]}},
}


def windows(count: int = 120, seed: int = 1) -> tuple[pl.DataFrame, DatasetRecipe]:
    random = np.random.default_rng(seed)
    recipe = DatasetRecipe.parse(DOCUMENT, "test")
    days = [datetime(2020, 1, 1 + n % 28, tzinfo=UTC) for n in range(count)]
    table = pl.DataFrame(
        {
            "id": [f"s{n}" for n in range(count)],
            "longitude": random.uniform(14.9, 15.1, count),
            "latitude": random.uniform(46.9, 47.1, count),
            "start": days,
            "end": days,
            "value": [None] * count,
        },
        schema=LABEL_SCHEMA,
    ).with_columns(pl.Series("extra:fold", random.integers(0, 3, count)))
    return windows_around(table, recipe.window), recipe


def assert_apart(split: pl.DataFrame, distance: float = 0.0) -> None:
    left, top = split["left"].to_numpy(), split["top"].to_numpy()
    boxes = shapely.box(left, top - 640, left + 640, top)
    names = split["split"].to_numpy()
    for one in range(len(boxes)):
        others = boxes[names != names[one]]
        assert (shapely.distance(boxes[one], others) >= distance - 2).all()
        assert shapely.area(shapely.intersection(boxes[one], others)).max(initial=0) <= 2 * 10 * 640


@pytest.mark.parametrize(
    "splits",
    [
        {"by": "random", "train": 60, "test": 40},
        {"by": "blocks", "block_m": 3000, "buffer_m": 100, "train": 60, "test": 40},
        {"by": "column", "column": "fold", "train": [0, 1], "test": 2, "buffer_m": 50},
        {"by": "time", "train": ["2020-01-01", "2020-01-20"], "test": ["2020-01-21", "2020-01-28"]},
        {
            "by": "column",
            "column": "fold",
            "train": [0, 1],
            "test": 2,
            "blocks": {"train": 60, "test": 40},
            "block_m": 4000,
            "buffer_m": 50,
        },
    ],
)
def test_windows_of_different_splits_are_apart(splits: dict[str, Any]) -> None:
    table, recipe = windows(40 if splits["by"] == "random" else 120)
    table = table.filter(pl.col("epsg") == table["epsg"].mode()[0])
    recipe = DatasetRecipe.parse({**DOCUMENT, "splits": splits}, "test")
    kept, rejects = split_labels(table, recipe)
    assert kept.height + rejects.height == table.height
    assert set(kept["split"]) == {"train", "test"}
    assert_apart(kept, splits.get("buffer_m", 0))
    if splits["by"] in ("column", "time"):
        there = {"near_other_split"} | ({"outside"} if "blocks" in splits else set())
        assert set(rejects["reason"]) == there
        assert not set(rejects["id"]) & set(kept["id"])


def test_labels_outside_of_every_span_are_in_the_ledger() -> None:
    table, _ = windows(30)
    splits = {"by": "time", "train": ["2020-01-01", "2020-01-02"]}
    kept, rejects = split_labels(table, DatasetRecipe.parse({**DOCUMENT, "splits": splits}, "test"))
    assert kept.height == 4
    assert rejects["reason"].unique().to_list() == ["no_split"]


def test_a_column_to_split_by_is_carried_along() -> None:
    table, _ = windows(3)
    splits = {"by": "column", "column": "tile", "train": ["a"]}
    with pytest.raises(RecipeError, match=r"splits\.column: name the column 'tile' in labels\.extra"):
        split_labels(table, DatasetRecipe.parse({**DOCUMENT, "splits": splits}, "test"))


def test_a_class_that_a_split_can_not_have_is_named_where_classes_are_to_be_balanced() -> None:
    table, _ = windows(40)
    table = table.filter(pl.col("epsg") == table["epsg"].mode()[0])
    splits = {"by": "random", "train": 60, "test": 40, "stratify": "crop"}
    recipe = DatasetRecipe.parse(
        {**DOCUMENT, "labels": {**DOCUMENT["labels"], "extra": ["crop"]}, "splits": splits}, "test"
    )
    crops = ["maize", "wheat"] * (table.height // 2) + ["maize"] * (table.height % 2)
    kept, _ = split_labels(table.with_columns(pl.Series("extra:crop", crops)), recipe)
    assert kept.group_by("split").agg(pl.col("extra:crop").n_unique())["extra:crop"].to_list() == [2, 2]
    crops[0] = "hemp"
    with pytest.raises(
        RecipeError, match=r"stratify: .* no crop hemp, which occurs in 1 separate place\. More"
    ):
        split_labels(table.with_columns(pl.Series("extra:crop", crops)), recipe)


def test_whole_numbers_of_a_column_may_be_stored_as_floats() -> None:
    table, _ = windows(8)
    folds = [1.0, 1.0, 2.0, 2.0, 2.5, None, float("nan"), 1.0]
    table = table.with_columns(pl.Series("extra:fold", folds))
    rules = {"by": "column", "column": "fold", "train": [1], "test": [2, "2.5"]}
    recipe = DatasetRecipe.parse(
        DOCUMENT | {"window": {"size": 1, "pixel_size": 10}, "splits": rules}, "test"
    )
    split, outside = split_labels(windows_around(table.drop("epsg", "left", "top"), recipe.window), recipe)
    assert split["split"].to_list() == ["train", "train", "test", "test", "test", "train"]
    assert outside["id"].to_list() == ["s5", "s6"]
