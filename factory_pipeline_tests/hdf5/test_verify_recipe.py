"""Each check of a recipe's file passes on right samples and names a wrong one."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.verify_recipe import NAMED_AT_MOST, check_recipe_file
from factory_pipeline_tests.hdf5.recipe_factories import recipe_of, write_fused

RECIPE = """
name: crops
labels: {kind: rasters, path: a.tif, LABELS}
window: {size: 4, pixel_size: 10}
sources:
  s2:
    collection: sentinel-2-l2a
    assets: [B02, SCL]
    time: {between: [2021-01-01, 2021-12-31]}
    resampling: {default: bilinear}
  dem: {collection: cop-dem-glo-30, assets: [data]}
"""
IDS = [f"label {number}" for number in range(8)]


@pytest.fixture
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A right file, of classes unless a test says otherwise."""
    labels = getattr(request, "param", "classes: {1: Water, 2: Forest}")
    write_fused(tmp_path / "a.h5", recipe_of(RECIPE.replace("LABELS", labels)), IDS)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["data/s2"][:, 1] = 4  # a scene class
    return tmp_path / "a.h5"


def findings(path: Path) -> dict[str, str]:
    """What failed, by name of the check."""
    return {each.name: each.detail for each in check_recipe_file(path) if not each.passed}


@pytest.mark.parametrize("path", ["classes: {1: Water, 2: Forest}", "unit: m"], indirect=True)
def test_right_samples_pass_every_check(path: Path) -> None:
    assert findings(path) == {}
    assert len(check_recipe_file(path)) == 5


@pytest.mark.parametrize(
    ("field", "value", "check"),
    [
        ("data/label", 3, "labels"),
        ("data/s2", 0, "values"),
        ("data/s2", 99, "values"),
        ("data/dem", np.nan, "values"),
        ("data/s2_mask", 2, "values"),
    ],
    ids=["no class", "no data", "no scene class", "not finite", "no mask"],
)
def test_one_wrong_pixel_is_found_and_its_sample_named(
    path: Path, field: str, value: Any, check: str
) -> None:
    with h5py.File(path, "r+") as file:
        pixel = (3, 1, 2, 2) if field == "data/s2" and value == 99 else (3, *(0,) * (file[field].ndim - 1))
        file[field][pixel] = value
    found = findings(path)
    assert list(found) == [check]
    assert found[check].startswith("1 of 8 samples have ")
    assert found[check].endswith(": label 3.")


@pytest.mark.parametrize("path", ["unit: m"], indirect=True)
def test_a_number_that_is_infinite_is_wrong_and_none_is_not(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["data/label"][1, 0, 0, 0] = np.nan
    assert findings(path) == {}
    with h5py.File(path, "r+") as file:
        file["data/label"][:, 0, 1, 1] = np.inf
    assert findings(path)["labels"].endswith(f"label {NAMED_AT_MOST - 1} and {8 - NAMED_AT_MOST} more.")


def test_ids_that_are_there_twice_are_named(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["provenance/Id"][5] = file["provenance/Id"][2]
    assert findings(path) == {"unique_ids": "1 ids are there more than once: label 2."}


def test_of_another_schema_only_that_is_told(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["data/dem_mask"]
    assert list(findings(path)) == ["schema"]


def test_an_empty_file_passes_and_one_of_the_gedi_dataset_is_refused(tmp_path: Path, written: Path) -> None:
    write_fused(tmp_path / "empty.h5", recipe_of(RECIPE.replace("LABELS", "unit: m")), [])
    assert findings(tmp_path / "empty.h5") == {}
    with pytest.raises(DatasetFileError, match="is a file of the GEDI dataset"):
        check_recipe_file(written)
