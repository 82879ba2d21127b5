"""Statistics of the bands of a recipe's file are numpy's of the pixels with data."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.recipe_statistics import summarize_bands
from factory_pipeline_tests.hdf5.recipe_factories import recipe_of, write_fused

RECIPE = """
name: crops
labels: {kind: points, path: a.csv}
window: {size: 4, pixel_size: 10}
sources:
  s2:
    collection: sentinel-2-l2a
    assets: [B02, SCL]
    time: {between: [2021-01-01, 2021-12-31]}
    resampling: {default: bilinear}
  dem: {collection: cop-dem-glo-30, assets: [data]}
"""


def test_they_are_of_the_pixels_with_data_in_stored_units(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_fused(path, recipe_of(RECIPE), ["a", "b", "c"])
    with h5py.File(path, "r+") as file:
        file["data/s2_mask"][1, :2] = 0
        values, mask = file["data/s2"][:], file["data/s2_mask"][:] == 1
    height, blue, scene = summarize_bands(path)
    known = values[:, 0][mask].astype(np.float64)
    assert (blue.source, blue.band, blue.dtype) == ("s2", "B02", "uint16")
    assert blue.data_share == pytest.approx(mask.mean())
    assert (blue.mean, blue.std) == (pytest.approx(known.mean()), pytest.approx(known.std()))
    assert (blue.minimum, blue.maximum) == (known.min(), known.max())
    assert (scene.band, scene.mean, scene.maximum) == ("SCL", None, None), "classes have no mean"
    assert (height.source, height.data_share) == ("dem", 1.0)


def test_a_band_without_data_has_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_fused(path, recipe_of(RECIPE), ["a"])
    with h5py.File(path, "r+") as file:
        file["data/dem_mask"][:] = 0
    height, *_ = summarize_bands(path)
    assert (height.data_share, height.mean, height.std, height.minimum) == (0.0, None, None, None)


def test_an_empty_file_and_one_of_the_gedi_dataset(tmp_path: Path, written: Path) -> None:
    write_fused(tmp_path / "a.h5", recipe_of(RECIPE), [])
    assert {each.data_share for each in summarize_bands(tmp_path / "a.h5")} == {0.0}
    with pytest.raises(DatasetFileError, match="is a file of the GEDI dataset"):
        summarize_bands(written)
