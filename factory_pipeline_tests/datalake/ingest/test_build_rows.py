"""The samples of a fused GEDI file as rows: what the file has, and nothing decoded but land cover."""

from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.datalake.ingest import build_rows
from factory_pipeline.datalake.ingest.build_rows import METADATA, sample_batches
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, ITEM_SCHEMA
from factory_pipeline.errors import LakeError
from factory_pipeline.hdf5.schema import Samples
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples


@pytest.fixture(scope="module")
def samples() -> Samples:
    return made_samples(4)


@pytest.fixture(scope="module")
def path(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "train_dataset.h5"
    write_dataset(path, samples, Recipe(), "train")
    return path


def test_each_sample_is_an_item_with_its_metadata(path: Path, samples: Samples) -> None:
    [batch] = sample_batches(path, "train_dataset.h5")
    items, table = batch.items, samples.table
    assert list(items.columns) == [*ITEM_SCHEMA, *(f"metadata.{key}" for key in METADATA)]
    assert items["id"].to_list() == table["shot_number"].cast(pl.String).to_list()
    assert items["split"].unique().to_list() == ["train"]
    np.testing.assert_allclose(items["metadata.agbd"], table["agbd"])
    assert items["metadata.granule"].to_list() == table["granule"].to_list()
    assert (items["width"][0], items["height"][0]) == (32, 32)
    media = items["media"][0].to_list()
    assert [each["modality"] for each in media] == ["S2", "WorldCover", "CopDEM"]
    assert {each["path"] for each in media} == {"train_dataset.h5"}
    assert media[0]["bands"][0] == "SCL"
    assert media[0]["rgb"] is not None
    hashes = [each["sha256"] for item in items["media"].to_list() for each in item]
    assert len(set(hashes)) == len(hashes)
    [again] = sample_batches(path, "train_dataset.h5")
    assert again.items.equals(items)


def test_land_cover_has_a_mask_per_class_and_biomass_a_raster(path: Path, samples: Samples) -> None:
    [batch] = sample_batches(path, "train_dataset.h5")
    assert batch.biomass.schema == batch.land_cover.schema == pl.Schema(ANNOTATION_SCHEMA)
    assert batch.biomass["item"].to_list() == batch.items["id"].to_list()
    expected = {
        (str(shot), int(code))
        for shot, codes in zip(samples.table["shot_number"], samples.worldcover, strict=True)
        for code in np.unique(codes)
        if code
    }
    codes = batch.land_cover["raster"].struct.field("value")
    assert set(zip(batch.land_cover["item"], codes, strict=True)) == expected


def test_rows_do_not_depend_on_how_many_are_made_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [whole] = sample_batches(path, "train_dataset.h5")
    monkeypatch.setattr(build_rows, "ROWS_AT_ONCE", 3)
    [parts] = sample_batches(path, "train_dataset.h5")
    assert parts.items.equals(whole.items)
    assert parts.biomass.equals(whole.biomass)
    assert parts.land_cover.equals(whole.land_cover)


def test_a_file_without_samples_gives_the_columns(tmp_path: Path) -> None:
    write_dataset(tmp_path / "a.h5", Samples.empty(11, 32), Recipe(), "train")
    [batch] = sample_batches(tmp_path / "a.h5", "a.h5")
    assert batch.items.height == 0
    assert "metadata.agbd" in batch.items.columns
    assert batch.land_cover.schema == pl.Schema(ANNOTATION_SCHEMA)


def test_an_unknown_class_of_land_cover_is_named_with_its_sample(samples: Samples, tmp_path: Path) -> None:
    write_dataset(tmp_path / "a.h5", samples, Recipe(), "train")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["data/WorldCover"][2, 0, 0, 0] = 33
    with pytest.raises(LakeError, match=r"Sample 2 of .*a\.h5 has the land cover code 33; WorldCover's are"):
        list(sample_batches(tmp_path / "a.h5", "a.h5"))
