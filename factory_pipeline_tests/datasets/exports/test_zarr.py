"""Zarr exports: what zarr and xarray read is what the version holds."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr

from factory_pipeline.datasets.exports import shards
from factory_pipeline.datasets.exports import zarr as zarr_export
from factory_pipeline.datasets.exports.rasterize import index_mask
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.exports.zarr_arrays import ZarrArray
from factory_pipeline.errors import ExportError
from factory_pipeline_tests.datasets.model.factories import (
    TWO_MODALITIES,
    MadeVersion,
    photo_version,
    satellite_version,
)

pytestmark = pytest.mark.integration  # loads xarray and zarr


@pytest.mark.parametrize("at_least", [1, 2, shards.SHARDS_FOR_ALL])
def test_every_sample_is_read_back_by_xarray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_least: int
) -> None:
    monkeypatch.setattr(shards, "SHARDS_FOR_ALL", at_least)
    version = satellite_version(tmp_path, masks=True, targets=True, modalities=TWO_MODALITIES, samples=5)
    export_version(version, "Zarr", tmp_path / "out")
    for split, count in version.counts.items():
        # Nothing is said of metadata that isn't consolidated, or of types that aren't specified.
        with warnings.catch_warnings(action="error"):
            rows = xarray.open_zarr(tmp_path / "out" / f"{split}.zarr", chunks=None).load()
        assert rows.sizes["sample"] == count
        assert rows["image_S2L2A"].dims == ("sample", "band_S2L2A", "y", "x")
        assert rows["image_S2L2A"].attrs == {"nodata": 0.0}
        assert rows.attrs["labels"] == version.values
        for number, sample in enumerate(version.samples(split)):
            row = rows.isel(sample=number)
            assert [row[name].item() for name in ("name", "original_name", "crs")] == [
                sample.name,
                sample.name,
                sample.crs,
            ]
            assert tuple(row["transform"].values) == sample.transform
            assert len(json.loads(row["shapes"].item())) == len(sample.shapes)
            assert row["image_S2L2A"].sel(band_S2L2A="B04").equals(row["image_S2L2A"][2])
            for modality, raster in sample.images.items():
                np.testing.assert_array_equal(row[f"image_{modality}"], raster.values)
            np.testing.assert_array_equal(row["mask"], index_mask(sample, version).values)
            np.testing.assert_array_equal(row["target"], sample.target.values)


def test_shards_have_the_stated_number_of_rows(photos: MadeVersion, tmp_path: Path) -> None:
    export_version(photos, "Zarr", tmp_path / "out")
    images = zarr.open_group(tmp_path / "out" / "train.zarr", mode="r")["image_photo"]
    rows = max(shards.divide(12, images[0].nbytes))
    assert images.shape[0] == 12
    assert (images.shards, images.chunks) == ((rows, 3, 40, 48), (1, 3, 40, 48))
    assert len(list((tmp_path / "out" / "train.zarr" / "image_photo" / "c").iterdir())) == -(-12 // rows)


def test_the_same_version_gives_the_same_bytes(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True)
    first = export_version(version, "Zarr", tmp_path / "first")
    assert export_version(version, "Zarr", tmp_path / "second") == first


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("image_photo/c/0/0/0/0", "index of its chunks is not what its checksum is of"),
        ("name/c/0", r"differs when train\.zarr is read back"),
        ("image_photo/zarr.json", r"train\.zarr/image_photo/zarr\.json differs"),
        ("band_photo/c/0", r"band_photo of train\.zarr differs"),
    ],
)
def test_a_file_that_differs_is_found(tmp_path: Path, file: str, message: str) -> None:
    version = photo_version(tmp_path, samples=3)
    export_version(version, "Zarr", tmp_path / "out")
    path = tmp_path / "out" / "train.zarr" / file
    content = bytearray(path.read_bytes())
    if file.endswith("json"):
        content = content.replace(b'"y"', b'"z"')
    elif file.startswith("band"):
        content = bytearray(ZarrArray(tmp_path, (3,), None, 3, ("band",)).encode(["red", "green", "nir"]))
    else:
        content[-10] ^= 1
    path.write_bytes(content)
    with pytest.raises(ExportError, match=message):
        zarr_export.check(version, tmp_path / "out")
