"""Opening dataset files: what is not one is told in a sentence, and what differs is named."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.fields import Field
from factory_pipeline.hdf5.opening import (
    SENTINEL2,
    bands_of,
    fields_of,
    missing_fields,
    open_dataset,
    open_recipe_dataset,
    open_samples,
    own_recipe,
    read_values,
    recipe_of,
    require_schema,
    schema_differences,
)


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    path = tmp_path / "copy.h5"
    path.write_bytes(written.read_bytes())
    return path


def foreign(path: Path, **datasets: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[f"data/{name.replace('_', ' ')}"] = values
    return path


def test_an_own_file_is_as_its_fields_say(written: Path) -> None:
    with open_dataset(written) as file:
        assert schema_differences(file, fields_of(file)) == []
        assert missing_fields(file, fields_of(file)) == []
        assert recipe_of(file) is None
        assert own_recipe(file).window_size == 32
        assert len(bands_of(file)) == file[SENTINEL2].shape[1] - 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, r"The dataset file .*a\.h5 is missing\."),
        (b"", "is truncated or not an HDF5 file"),
        (b"no HDF5 file", "is truncated or not an HDF5 file"),
    ],
)
def test_what_can_not_be_opened_is_told(content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetFileError, match=says), open_dataset(path):
        pass


def test_a_truncated_file_is_told(copy: Path) -> None:
    copy.write_bytes(copy.read_bytes()[:-2000])
    with pytest.raises(DatasetFileError, match="is truncated or not an HDF5 file"), open_dataset(copy):
        pass


def test_files_of_others_have_samples_or_are_no_dataset_files(tmp_path: Path) -> None:
    other = foreign(tmp_path / "a.h5", **{"Sentinel-2_L2A": np.zeros((2, 12, 4, 4), np.uint16)})
    with open_samples(other) as file:
        assert {field.group for field in fields_of(file)} == {"data"}
    with pytest.raises(DatasetFileError, match="something else made it"), open_dataset(other):
        pass
    with (
        pytest.raises(DatasetFileError, match="is not a dataset file: it lacks"),
        open_samples(foreign(tmp_path / "b.h5", other=np.zeros(3))),
    ):
        pass


def test_differences_are_named_one_by_one(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        del file["data/CRS"]
        file["data/NDVI"] = np.zeros(12)
        band_names = file[SENTINEL2].attrs["band_names"]
        file[SENTINEL2].attrs["band_names"] = ["SCL", *band_names[2:], band_names[1]]
    with h5py.File(copy) as file:
        found = schema_differences(file, fields_of(file))
    assert found[0] == "data/NDVI is unknown"
    assert "data/CRS is missing" in found


def test_a_file_of_another_schema_or_of_the_other_kind_is_refused(written: Path, copy: Path) -> None:
    with open_dataset(written) as file:
        assert {field.path for field in require_schema(file, written)} == {
            field.path for field in fields_of(file)
        }
    with pytest.raises(DatasetFileError, match="is a file of the GEDI dataset"), open_recipe_dataset(written):
        pass
    with h5py.File(copy, "r+") as file:
        del file["data/CRS"]
    with open_dataset(copy) as file, pytest.raises(DatasetFileError, match="differs: data/CRS is missing"):
        require_schema(file, copy)


def test_an_error_inside_hdf5_names_the_file_and_one_of_ours_stays(copy: Path) -> None:
    with pytest.raises(DatasetFileError, match=r"copy\.h5 is damaged"), open_dataset(copy) as file:
        file["data/none"]
    with pytest.raises(KeyError), open_dataset(copy):
        raise KeyError("ours")


def field(name: str, dtype: str) -> Field:
    return Field("data", name, np.dtype(dtype), (1,), "", lambda samples: samples)


def test_values_of_others_are_read_in_our_types_and_never_cut_or_wrapped(tmp_path: Path) -> None:
    path = foreign(
        tmp_path / "a.h5", number=np.array([1.0, 2.0, 70_000.5]), text=np.array([b"ab", b"abcdef"])
    )
    with h5py.File(path) as file:
        np.testing.assert_array_equal(read_values(file, field("number", "<i4"), 0, 2), [[1], [2]])
        np.testing.assert_array_equal(read_values(file, field("number", "<f4"), 2, 3), [[70_000.5]])
        for dtype in ("<i4", "u1"):
            with pytest.raises(DatasetFileError, match="has values in data/number that are not"):
                read_values(file, field("number", dtype), 0, 3)
        assert read_values(file, field("text", "S4"), 0, 1).tolist() == [[b"ab"]]
        with pytest.raises(DatasetFileError, match="stores up to 4"):
            read_values(file, field("text", "S4"), 0, 2)


def test_a_folder_is_answered_with_its_dataset_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetFileError, match="is a folder without a dataset file"), open_dataset(tmp_path):
        pass
    for split in ("train", "test"):
        (tmp_path / f"{split}_dataset.h5").touch()
    named = f"name one of its files: {tmp_path}/test_dataset.h5, {tmp_path}/train_dataset.h5."
    with pytest.raises(DatasetFileError, match=re.escape(named)), open_dataset(tmp_path):
        pass
