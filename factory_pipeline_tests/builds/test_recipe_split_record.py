"""The record of the splits of a recipe's dataset is of what its fused files have."""

from pathlib import Path

import h5py
import pytest

from factory_pipeline.builds.recipe_split_record import record_splits, windows_of_dataset
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline_tests.hdf5.recipe_factories import recipe_of, write_fused

RECIPE = """
name: crops
labels: {kind: points, path: a.csv}
window: {size: 4, pixel_size: 10}
sources: {dem: {collection: cop-dem-glo-30, assets: data}}
splits: {by: random, train: 60, test: 40}
"""


@pytest.fixture
def files(tmp_path: Path) -> BuildFiles:
    """Three samples in train and two in test, all side by side."""
    files = BuildFiles(tmp_path)
    for number, (split, ids) in enumerate({"train": ["a", "b", "c"], "test": ["d", "e"]}.items()):
        write_fused(files.fused(split), recipe_of(RECIPE), ids, split=split, seed=number)
    return files


def test_windows_of_all_fused_files_have_their_split(files: BuildFiles) -> None:
    windows = windows_of_dataset(recipe_of(RECIPE), files)
    assert windows.select("stem", "split").rows() == [
        *((name, "train") for name in "abc"),
        *((name, "test") for name in "de"),
    ]
    assert windows["width"].unique().to_list() == [4]
    files.fused("test").unlink()
    assert windows_of_dataset(recipe_of(RECIPE), files).height == 3


def test_windows_apart_do_not_leak_and_one_that_is_moved_does(files: BuildFiles) -> None:
    record = record_splits(recipe_of(RECIPE), files)
    assert (record.splits, record.what) == ({"train": 3, "test": 2, "validation": 0}, "windows")
    assert record.promises_zero
    assert not record.breaks_promise
    assert record.balance is not None
    with h5py.File(files.fused("train")) as train, h5py.File(files.fused("test"), "r+") as test:
        test["data/Transforms"][0] = train["data/Transforms"][0]
    assert record_splits(recipe_of(RECIPE), files).breaks_promise


def test_windows_on_the_grid_of_a_source_promise_nothing(files: BuildFiles) -> None:
    moved = RECIPE.replace("pixel_size: 10}", "pixel_size: 10, crs: {grid: dem}}")
    assert not record_splits(recipe_of(moved), files).promises_zero
