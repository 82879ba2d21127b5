"""Samples of a GEDI file as GeoTIFFs: the pixels, place and names of the file."""

from pathlib import Path

import numpy as np
import pytest
from rasterio.io import MemoryFile

from factory_pipeline.builds.training_rasters import image_suffix, sample_rasters
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.schema import Samples, dataset_fields
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples

FIELDS = {field.name: field for field in dataset_fields(Recipe().sentinel2.bands, 32)}


@pytest.fixture(scope="module")
def samples() -> Samples:
    return made_samples(3)


@pytest.fixture(scope="module")
def path(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rasters") / "train_dataset.h5"
    write_dataset(path, samples, Recipe(), "train")
    return path


def test_every_sample_has_an_image_per_modality_and_a_label(path: Path, samples: Samples) -> None:
    made = list(sample_rasters(path, ["S2", "DEM"], FIELDS))
    shots = samples.table["shot_number"].to_list()
    assert [name for name, _ in made] == [
        name
        for shot in shots
        for name in (f"images/{shot}_S2.tif", f"images/{shot}_DEM.tif", f"labels/{shot}_AGBD.tif")
    ]
    assert image_suffix("LC") == "_LC.tif"
    for number, shot in enumerate(shots):
        rasters = dict(made)
        expected = {
            f"images/{shot}_S2.tif": samples.sentinel2[number, 1:],
            f"images/{shot}_DEM.tif": samples.copdem[number],
            f"labels/{shot}_AGBD.tif": samples.label[number],
        }
        for name, values in expected.items():
            with MemoryFile(rasters[name]) as memory, memory.open() as image:
                np.testing.assert_array_equal(image.read(), values)
                assert image.crs.to_string() == samples.table["crs"][number]
                np.testing.assert_allclose(
                    list(image.transform)[:6], samples.table["transform"][number].to_list()[:6]
                )
                assert image.tags()["gedi_shot_number"] == str(shot)
        with MemoryFile(rasters[f"images/{shot}_S2.tif"]) as memory, memory.open() as image:
            assert image.descriptions == Recipe().sentinel2.bands, "classes have no mean and are left out"


def test_two_shots_with_the_same_pixels_are_not_the_same_file(samples: Samples, tmp_path: Path) -> None:
    twin = Samples(
        samples.sentinel2[[0, 0]],
        samples.worldcover[[0, 0]],
        samples.copdem[[0, 0]],
        samples.label[[0, 0]],
        samples.table[[0, 0]].with_columns(shot_number=samples.table["shot_number"][[0, 1]]),
    )
    write_dataset(tmp_path / "a.h5", twin, Recipe(), "train")
    contents = [content for _, content in sample_rasters(tmp_path / "a.h5", ["S2"], FIELDS)]
    assert len(set(contents)) == len(contents)


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetFileError, match=r"none\.h5 is missing"):
        list(sample_rasters(tmp_path / "none.h5", ["S2"], FIELDS))
