"""A written file, read with h5py alone, against the layout that users were promised."""

import hashlib
import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.config.recipe import Recipe, Sentinel2
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.schema import Samples
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline.version import __version__
from factory_pipeline_tests.hdf5.factories import made_samples

PROMISED = {
    "Sentinel-2 L2A": (np.uint16, (12, 32, 32)),
    "WorldCover": (np.uint8, (1, 32, 32)),
    "CopDEM": (np.float32, (2, 32, 32)),
    "AGBD Raster": (np.float32, (1, 32, 32)),
    "Transforms": (np.float32, (9,)),
    "CRS": (str, (1,)),
    "S2 SCL Stats": (str, (12, 2)),
    "Sentinel-2 Product Name": (str, (1,)),
    "WorldCover Tile Name": (str, (1,)),
    "CopDEM Tile Name": (str, (1,)),
    "AGBD Values": (np.float32, (1,)),
    "AGBD Standard Error": (np.float32, (1,)),
    "GEDI Product Name": (str, (1,)),
    "GEDI Shot Number": (np.int64, (1,)),
    "GEDI Acquisition Time": (str, (1,)),
    "GEDI Delta Time": (str, (1,)),
    "GEDI Lat Lon": (np.float32, (2,)),
}


@pytest.fixture(params=[12, 0], ids=["samples", "empty"])
def file(request: pytest.FixtureRequest, tmp_path: Path):
    write_dataset(tmp_path / "batch.h5", made_samples(request.param), Recipe(), "train")
    with h5py.File(tmp_path / "batch.h5") as opened:
        yield opened


def test_the_datasets_are_the_promised_ones(file: h5py.File) -> None:
    assert set(file["data"]) == set(PROMISED)
    length = len(file["data/Sentinel-2 L2A"])
    for name, (dtype, shape) in PROMISED.items():
        dataset = file["data"][name]
        assert dataset.shape == (length, *shape), name
        text = h5py.check_string_dtype(dataset.dtype)
        if dtype is str:
            assert text is not None
            assert text.encoding == "utf-8"
            assert text.length is not None
        else:
            assert dataset.dtype == dtype, name
        assert (dataset.compression, dataset.shuffle) == ("gzip", True)


def test_units_bands_and_nodata_are_attributes(file: h5py.File) -> None:
    bands = ["SCL", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"]
    assert list(file["data/Sentinel-2 L2A"].attrs["band_names"]) == bands
    assert list(file["data/CopDEM"].attrs["units"]) == ["m", "%"]
    assert file["data/AGBD Raster"].attrs["nodata"] == -9999
    assert file["data/AGBD Values"].attrs["units"] == "Mg/ha"
    assert all(dataset.attrs["description"] for group in file.values() for dataset in group.values())


def test_the_file_says_how_it_was_made(file: h5py.File) -> None:
    assert Recipe.model_validate(json.loads(file.attrs["recipe"])) == Recipe()
    assert file.attrs["recipe_hash"] == hashlib.sha256(file.attrs["recipe"].encode()).hexdigest()
    assert file.attrs["software_version"] == __version__
    assert file.attrs["split"] == "train"


def test_rasters_and_numbers_come_back_exactly(written: Path, samples: Samples) -> None:
    with h5py.File(written) as file:
        data = file["data"]
        np.testing.assert_array_equal(data["Sentinel-2 L2A"][:], samples.sentinel2)
        np.testing.assert_array_equal(data["WorldCover"][:], samples.worldcover)
        np.testing.assert_array_equal(data["CopDEM"][:], samples.copdem)
        np.testing.assert_array_equal(data["AGBD Raster"][:], samples.label)
        np.testing.assert_array_equal(data["AGBD Values"][:, 0], samples.table["agbd"])
        np.testing.assert_array_equal(data["GEDI Shot Number"][:, 0], samples.table["shot_number"])
        np.testing.assert_array_equal(data["Transforms"][:], samples.table["transform"].to_numpy())
        exact = samples.table.select("latitude", "longitude").to_numpy()
        np.testing.assert_array_equal(file["provenance/Lat Lon"][:], exact)
        np.testing.assert_array_equal(data["GEDI Lat Lon"][:], exact.astype(np.float32))


def test_delta_time_keeps_all_digits(written: Path, samples: Samples) -> None:
    with h5py.File(written) as file:
        texts = file["data/GEDI Delta Time"].asstr()[:, 0]
    assert [float(text) for text in texts] == samples.table["delta_time"].to_list()


def test_scl_stats_are_named_and_unrounded(written: Path, samples: Samples) -> None:
    with h5py.File(written) as file:
        stats = file["data/S2 SCL Stats"].asstr()[:]
    assert stats[0, [0, 4, 5, 11], 0].tolist() == ["NO_DATA", "VEGETATION", "NOT_VEGETATED", "SNOW"]
    assert (stats[:, :, 0] == stats[0, :, 0]).all()
    np.testing.assert_array_equal(
        stats[:, :, 1].astype(np.float64), samples.table["scl_fractions"].to_numpy()
    )


def test_provenance_names_the_sources(written: Path, samples: Samples) -> None:
    columns = {
        "Sentinel-2 Item": "s2_item",
        "CopDEM Items": "dem_items",
        "WorldCover Items": "worldcover_items",
        "Sentinel-2 Baseline": "baseline",
        "GEDI Granule": "granule",
        "GEDI Beam": "beam",
        "Batch": "batch",
    }
    with h5py.File(written) as file:
        for name, column in columns.items():
            assert file["provenance"][name].asstr()[:, 0].tolist() == samples.table[column].to_list()
        assert file["provenance/Sentinel-2 Offset Removed"][:].tolist() == [[0]] * len(samples)


def test_bright_pixels_stay_bright(samples: Samples, tmp_path: Path) -> None:
    bright = np.full_like(samples.sentinel2, 65_535)
    write_dataset(tmp_path / "batch.h5", replace(samples, sentinel2=bright), Recipe(), "train")
    with h5py.File(tmp_path / "batch.h5") as file:
        assert file["data/Sentinel-2 L2A"][:].min() == 65_535


def test_a_text_that_does_not_fit_is_an_error_and_leaves_nothing(samples: Samples, tmp_path: Path) -> None:
    table = samples.table.with_columns(dem_tiles=pl.lit("Ä" * 129))
    with pytest.raises(DatasetFileError, match="CopDEM Tile Name has 258 bytes; the file stores up to 256"):
        write_dataset(tmp_path / "batch.h5", replace(samples, table=table), Recipe(), "train")
    assert list(tmp_path.iterdir()) == []


def test_a_text_of_full_length_fits(samples: Samples, tmp_path: Path) -> None:
    table = samples.table.with_columns(dem_tiles=pl.lit("Ä" * 128))
    write_dataset(tmp_path / "batch.h5", replace(samples, table=table), Recipe(), "train")
    with h5py.File(tmp_path / "batch.h5") as file:
        assert file["data/CopDEM Tile Name"].asstr()[0, 0] == "Ä" * 128


def test_samples_of_other_bands_are_refused(samples: Samples, tmp_path: Path) -> None:
    recipe = Recipe(sentinel2=Sentinel2(bands=("B02", "B03")))
    with pytest.raises(ValueError, match="the recipe says"):
        write_dataset(tmp_path / "batch.h5", samples, recipe, "train")


def test_samples_of_another_dtype_are_refused(samples: Samples) -> None:
    with pytest.raises(ValueError, match="sentinel2 is int16"):
        replace(samples, sentinel2=samples.sentinel2.astype(np.int16))


def test_samples_of_unequal_length_are_refused(samples: Samples) -> None:
    with pytest.raises(ValueError, match="worldcover"):
        replace(samples, worldcover=samples.worldcover[1:])


def test_nulls_are_refused(samples: Samples) -> None:
    with pytest.raises(ValueError, match="nulls in \\['baseline'\\]"):
        replace(samples, table=samples.table.with_columns(baseline=pl.lit(None, pl.String)))


@pytest.mark.integration
def test_another_process_writes_the_same_bytes(written: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    process = multiprocessing.get_context("spawn").Process(
        target=_write_made_samples, args=(other, written.stem)
    )
    process.start()
    process.join()
    assert other.read_bytes() == written.read_bytes()


def _write_made_samples(path: Path, batch: str) -> None:
    write_dataset(path, made_samples(12, batch), Recipe(), "train")
