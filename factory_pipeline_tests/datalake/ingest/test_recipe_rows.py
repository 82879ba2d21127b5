"""The samples of a recipe's file as rows of the lake."""

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.datalake.ingest import recipe_rows
from factory_pipeline.datalake.ingest.recipe_rows import (
    LABELLED,
    LABELS,
    LabelRasters,
    RecipeBatch,
    are_dated,
    item_size,
    label_names,
    recipe_batches,
)
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA
from factory_pipeline.errors import LakeError
from factory_pipeline_tests.hdf5.recipe_factories import label_times, recipe_of, write_fused

RECIPE = """
name: cover
labels: LABELS
window: {size: 6, pixel_size: 10}
sources:
  s2: {collection: sentinel-2-l2a, assets: [B04, B03, B02], time: {around: 10d}}
  dem: {collection: cop-dem-glo-30, assets: [data], pixel_size: FINE}
"""
CLASSES = "{kind: rasters, path: a.tif, classes: {1: Water, 2: Forest}, between: [2021-06-01, 2021-06-30]}"
IDS = ["a", "b"]


def recipe(labels: str = CLASSES, fine: float = 5) -> DatasetRecipe:
    return recipe_of(RECIPE.replace("LABELS", labels).replace("FINE", str(fine)))


def batch_of(path: Path, made: DatasetRecipe, labels: LabelRasters | None) -> RecipeBatch:
    write_fused(path, made, IDS)
    [batch] = recipe_batches(path, path.name, made, label_times(IDS), labels)
    return batch


def test_an_item_is_on_the_grid_that_fits_all_sources(tmp_path: Path) -> None:
    batch = batch_of(tmp_path / "a.h5", recipe(), None)
    assert item_size(recipe()) == 12
    assert batch.items.select("id", "width", "height").rows() == [("a", 12, 12), ("b", 12, 12)]
    transform = batch.items["proj:transform"][0].to_list()
    assert (transform[0], transform[4]) == (5.0, -5.0)
    media = batch.items["media"][0].to_list()
    rgb = {each["modality"]: each["rgb"] for each in media}
    assert rgb == {"dem": None, "s2": [0, 1, 2]}
    assert batch.items["metadata.s2_valid_share"].to_list() == [1.0, 1.0]
    assert batch.items["metadata.s2_items"].to_list() == ["s2-0-0", "s2-1-0"]
    assert batch.annotations.height == 0
    assert batch.annotations.schema == pl.Schema(ANNOTATION_SCHEMA)


def test_sources_that_fit_no_grid_are_named() -> None:
    with pytest.raises(LakeError, match=r"the pixels of their sources \(s2 6, dem 7 a side; the window 6\)"):
        item_size(recipe(fine=60 / 7))


def test_label_rasters_have_a_mask_per_class_that_occurs(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    labels = LabelRasters(path.name, LABELS)
    batch = batch_of(path, recipe(), labels)
    with h5py.File(path) as file:
        stored = file[LABELS][:]
    expected = [
        (name, code)
        for name, codes in zip(IDS, stored, strict=True)
        for code in np.unique(codes).tolist()
        if code in (1, 2)
    ]
    found = batch.annotations
    assert list(zip(found["item"], found["raster"].struct.field("value"), strict=True)) == expected
    assert set(found["label"]) <= {"Water", "Forest"}


def test_the_time_of_an_item_is_the_middle_of_its_label(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_fused(path, recipe(), IDS)
    of_scenes = [datetime(2021, 6, 1, tzinfo=UTC), datetime(2021, 6, 2, tzinfo=UTC)]
    of_labels = [datetime(2021, 6, 12, 12, tzinfo=UTC)] * 2
    for times, expected in ((label_times(IDS), of_labels), (label_times(IDS).clear(), of_scenes)):
        [batch] = recipe_batches(path, path.name, recipe(), times, None)
        assert batch.items["datetime"].to_list() == expected
        assert are_dated(path, recipe(), times)


def test_rows_do_not_depend_on_how_many_are_made_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    whole = batch_of(path, recipe(), LabelRasters(path.name, LABELS))
    monkeypatch.setattr(recipe_rows, "ROWS_AT_ONCE", 1)
    parts = batch_of(path, recipe(), LabelRasters(path.name, LABELS))
    assert parts.items.equals(whole.items)
    assert parts.annotations.equals(whole.annotations)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (CLASSES, {1: "Water", 2: "Forest"}),
        ("{kind: rasters, path: a.tif, unit: m, between: [2021-06-01, 2021-06-30]}", None),
        (
            "{kind: polygons, path: a.gpkg, time: {between: [2021-06-01, 2021-06-30]}}",
            {1: LABELLED},
        ),
    ],
)
def test_labels_have_names_unless_they_are_numbers(labels: str, names: dict[int, str] | None) -> None:
    assert label_names(recipe(labels)) == names
