"""The summary of a recipe's file says what the file holds."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.describe_recipe import describe_recipe_file, is_recipe_file
from factory_pipeline_tests.hdf5.recipe_factories import UTM, recipe_of, write_fused

RECIPE = """
name: crops
labels: {kind: points, path: a.csv, target: TARGET}
window: {size: 4, pixel_size: 10}
sources: {s2: {collection: sentinel-2-l2a, assets: [B02, B03], time: {between: [2021-01-01, 2021-12-31]}}}
"""
CLASSES = RECIPE.replace("TARGET", "{column: crop, classes: {1: Maize, 2: Wheat}}")
NUMBERS = RECIPE.replace("TARGET", "{column: yield, unit: t/ha}")


def test_classes_are_counted_by_name(tmp_path: Path) -> None:
    path = tmp_path / "train.h5"
    write_fused(path, recipe_of(CLASSES), ["a", "b", "c"], [1, 2, 2])
    with h5py.File(path, "r+") as file:
        file["data/s2_mask"][0] = 0
    found = describe_recipe_file(path)
    assert (found.name, found.split, found.samples) == ("crops", "train", 3)
    assert found.labels == {"1 Maize": 1, "2 Wheat": 2}
    assert found.label_range is None
    assert (found.bands, found.shapes) == ({"s2": ["B02", "B03"]}, {"s2": [3, 2, 4, 4]})
    assert found.valid_share == {"s2": pytest.approx(2 / 3)}
    assert found.crs == {f"EPSG:{UTM}": 3}
    assert found.recipe_hash == recipe_of(CLASSES).digest()
    assert "2 x 4 x 4: B02 B03; 67% with data" in str(found)
    assert "1 Maize (1), 2 Wheat (2)" in str(found)


def test_numbers_have_a_range_and_an_empty_file_none(tmp_path: Path) -> None:
    write_fused(tmp_path / "a.h5", recipe_of(NUMBERS), ["a", "b"], [0.5, 7])
    found = describe_recipe_file(tmp_path / "a.h5")
    assert (found.labels, found.label_range) == ({}, (0.5, 7.0))
    write_fused(tmp_path / "b.h5", recipe_of(NUMBERS), [])
    empty = describe_recipe_file(tmp_path / "b.h5")
    assert (empty.samples, empty.label_range, empty.crs) == (0, None, {})
    assert empty.valid_share == {"s2": 0.0}
    assert "Samples:" in str(empty)


def test_files_of_others_are_refused(tmp_path: Path, written: Path) -> None:
    assert not is_recipe_file(written)
    with pytest.raises(DatasetFileError, match="is a file of the GEDI dataset"):
        describe_recipe_file(written)
    path = tmp_path / "a.h5"
    write_fused(path, recipe_of(NUMBERS), ["a"], [1])
    assert is_recipe_file(path)
    with h5py.File(path, "r+") as file:
        del file["data/label"]
        file["data/label"] = np.zeros(1)
    with pytest.raises(DatasetFileError, match=r"schema of .* differs: data/label is"):
        describe_recipe_file(path)
