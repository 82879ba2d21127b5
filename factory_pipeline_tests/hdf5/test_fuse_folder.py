"""Fusing a folder: a shot that stands twice is refused; files of other software are taken by content."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from factory_pipeline.builds.summary import fuse_folder
from factory_pipeline.config.recipe import S2_BANDS, Recipe
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5 import FusedDataset
from factory_pipeline.hdf5.fields import DATA
from factory_pipeline.hdf5.preview import chip_sheet
from factory_pipeline.hdf5.read import describe
from factory_pipeline.hdf5.schema import Samples, dataset_fields
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples, part_of
from factory_pipeline_tests.hdf5.recipe_factories import recipe_of, write_fused

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

FIELDS = [field for field in dataset_fields(S2_BANDS, 32) if field.group == DATA]
LAYERS = ("Sentinel-2 L2A", "WorldCover", "CopDEM", "AGBD Raster")


@pytest.fixture(scope="module")
def made() -> Samples:
    return made_samples(10, seed=3)


def foreign_file(path: Path, samples: Samples, *, flat: bool = False, **storage: Any) -> Path:
    """Write the layout of the table alone, as h5py does by itself: text of variable length, no attributes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for field in FIELDS:
            values = field.values(samples)
            if field.is_text:
                texts = np.char.decode(values, "utf-8").astype(object)
                file.create_dataset(field.path, data=texts, dtype=h5py.string_dtype())
            elif flat and field.shape == (1,):
                file[field.path] = values[:, 0].astype("u8" if field.dtype.kind == "i" else "f8")
            else:
                file.create_dataset(field.path, data=values, **storage)
    return path


def rasters_of(samples: Samples) -> dict[str, np.ndarray]:
    return {field.name: field.values(samples) for field in FIELDS if field.is_raster}


def test_batches_that_share_shots_are_refused_and_the_shots_counted(tmp_path: Path, made: Samples):
    folder = tmp_path / "batches"
    folder.mkdir()
    write_dataset(folder / "train-00000-0a1b2c3d.h5", made, Recipe(), "train")
    write_dataset(folder / "train-00000-ffffffff.h5", part_of(made, 0, 4), Recipe(batch_size=4), "train")
    with pytest.raises(DatasetFileError, match="4 shots occur more than once in the 2 files") as refusal:
        fuse_folder(folder, tmp_path / "out")
    first = made.table["shot_number"][0]
    assert f"{first} in train-00000-0a1b2c3d.h5 and train-00000-ffffffff.h5" in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_a_shot_of_both_splits_or_twice_in_a_file_is_refused(tmp_path: Path, made: Samples):
    foreign_file(tmp_path / "a" / "train_1.h5", part_of(made, 0, 3))
    foreign_file(tmp_path / "a" / "test_1.h5", part_of(made, 2, 5))
    with pytest.raises(DatasetFileError, match="1 shots occur more than once"):
        fuse_folder(tmp_path / "a", tmp_path / "out")
    with h5py.File(foreign_file(tmp_path / "b" / "train_1.h5", part_of(made, 0, 3)), "r+") as file:
        file["data/GEDI Shot Number"][1] = file["data/GEDI Shot Number"][0]
    with pytest.raises(DatasetFileError, match="1 shots occur more than once"):
        fuse_folder(tmp_path / "b", tmp_path / "out")


@pytest.mark.parametrize(
    "storage",
    [
        {"compression": "lzf"},
        {"compression": "gzip", "chunks": True},
        {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": True},
        {},
    ],
)
def test_files_of_the_layout_alone_are_read_and_fused(tmp_path: Path, made: Samples, storage: dict[str, Any]):
    folder = tmp_path / "foreign"
    first = foreign_file(folder / "batch_0_train.h5", part_of(made, 0, 6), **storage)
    foreign_file(folder / "batch_1_train.HDF5", part_of(made, 6, 10), flat=True, **storage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("factory_pipeline.hdf5.fuse_folder.AT_ONCE", 4)
        assert fuse_folder(folder, tmp_path / "out") == {"train": 10}
    fused = tmp_path / "out" / "train_dataset.h5"
    for path, samples in ((first, part_of(made, 0, 6)), (fused, made)):
        read = FusedDataset(path, LAYERS).read_batch(range(len(samples)))
        for name, values in rasters_of(samples).items():
            assert np.array_equal(read[name], values), name
        assert np.array_equal(read["label"][:, 0], samples.table["agbd"])
        assert describe(path).samples == len(samples)
        assert describe(path).crs == {"EPSG:32640": len(samples)}
        assert chip_sheet(path, samples=1)
    assert "made by other software" in str(describe(fused))
    # What is fused is stored as our own files are, and says what it does not know.
    with h5py.File(fused) as file:
        assert list(file) == ["data"]
        assert file.attrs["split"] == "train"
        for field in FIELDS:
            assert file[field.path].dtype == field.dtype
            values = field.values(made).astype(field.dtype)
            assert np.array_equal(file[field.path][:], values), field.path
        assert file["data/Sentinel-2 L2A"].chunks == (1, 12, 32, 32)


def test_a_fused_file_of_others_can_be_fused_again(tmp_path: Path, made: Samples):
    foreign_file(tmp_path / "foreign" / "0.h5", part_of(made, 0, 5), compression="lzf")
    # Its shots are of 2020: of the days of train.
    assert fuse_folder(tmp_path / "foreign", tmp_path / "mixed") == {"train": 5}
    write_dataset(tmp_path / "mixed" / "train-00000-0a1b2c3d.h5", part_of(made, 5, 10), Recipe(), "train")
    assert fuse_folder(tmp_path / "mixed", tmp_path / "out") == {"train": 10}
    with h5py.File(tmp_path / "out" / "train_dataset.h5") as file:
        order = [*made.table["shot_number"][5:], *made.table["shot_number"][:5]]
        assert file["data/GEDI Shot Number"][:, 0].tolist() == order


def test_what_a_foreign_file_lacks_is_named(tmp_path: Path, made: Samples):
    path = foreign_file(tmp_path / "train_0.h5", made)
    with h5py.File(path, "r+") as file:
        del file["data/CopDEM"]
        del file["data/CRS"]
        file["data/AGBD Values"][0] = 5
    with pytest.raises(DatasetFileError, match=r"CopDEM is missing; data/CRS is missing"):
        fuse_folder(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "train_dataset.h5").exists()


def test_values_that_do_not_fit_are_refused_not_wrapped(tmp_path: Path, made: Samples):
    path = foreign_file(tmp_path / "train_0.h5", made)
    with h5py.File(path, "r+") as file:
        bands = file["data/Sentinel-2 L2A"][:].astype(np.int32)
        bands[0, 1] = -5
        del file["data/Sentinel-2 L2A"]
        file["data/Sentinel-2 L2A"] = bands
    with pytest.raises(DatasetFileError, match="values in data/Sentinel-2 L2A that are not uint16"):
        fuse_folder(tmp_path, tmp_path / "out")


def test_a_file_whose_split_can_not_be_told_is_named(tmp_path: Path, made: Samples):
    path = foreign_file(tmp_path / "0.h5", made)
    with h5py.File(path, "r+") as file:
        file["data/GEDI Delta Time"][0] = "110000000.5"
    with pytest.raises(DatasetFileError, match=r"does not say of which split .* train_0.h5"):
        fuse_folder(tmp_path, tmp_path / "out")


def test_files_of_a_recipe_are_refused_with_what_fuses_them(tmp_path: Path):
    recipe = recipe_of(
        "{name: crops, labels: {kind: points, path: a.csv}, window: {size: 8, pixel_size: 10},"
        " sources: {dem: {collection: cop-dem-glo-30, assets: [data]}}}"
    )
    write_fused(tmp_path / "train-00000-abcdef01.h5", recipe, ["a"])
    with pytest.raises(DatasetFileError, match=r"is of the recipe crops; create-dataset --recipe fuses"):
        fuse_folder(tmp_path, tmp_path / "out")
