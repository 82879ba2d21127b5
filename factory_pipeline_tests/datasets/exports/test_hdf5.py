"""HDF5 exports: what h5py reads is what the version holds."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.datasets.exports.rasterize import index_mask
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.errors import ExportError
from factory_pipeline_tests.datasets.model.factories import TWO_MODALITIES, photo_version, satellite_version
from factory_pipeline_tests.hdf5.track_order import order_tracked


@pytest.mark.integration
def test_every_sample_is_read_back_by_plain_h5py(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True, targets=True, modalities=TWO_MODALITIES)
    export_version(version, "HDF5", tmp_path / "out")
    for split in version.counts:
        with h5py.File(tmp_path / "out" / f"{split}.h5") as file:
            samples = list(version.samples(split))
            assert file["names"].asstr()[:].tolist() == [sample.name for sample in samples]
            for row, sample in enumerate(samples):
                for modality, raster in sample.images.items():
                    np.testing.assert_array_equal(file[f"images/{modality}"][row], raster.values)
                np.testing.assert_array_equal(file["masks"][row], index_mask(sample, version).values)
                np.testing.assert_array_equal(file["targets"][row], sample.target.values)
                assert file["crs"].asstr()[row] == sample.crs
                assert tuple(file["transforms"][row]) == sample.transform
                assert len(json.loads(file["shapes"][row])) == len(sample.shapes)
            assert list(file["images/S2L2A"].attrs["band_names"]) == list(version.modalities["S2L2A"])
            assert dict(zip(file.attrs["labels"], file.attrs["label_values"], strict=True)) == version.values


@pytest.mark.integration
def test_copies_are_in_train_only_and_name_their_original(tmp_path: Path) -> None:
    version = photo_version(tmp_path)
    export_version(version, "HDF5", tmp_path / "out")
    origins = {}
    for split in version.counts:
        with h5py.File(tmp_path / "out" / f"{split}.h5") as file:
            origins[split] = [name for name in file["origins"].asstr()[:] if name]
    assert len(origins["train"]) == version.originals["train"]
    assert not origins["test"]
    assert not origins["validation"]


@pytest.mark.integration
def test_the_same_version_gives_the_same_bytes(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True)
    first = export_version(version, "HDF5", tmp_path / "first")
    with order_tracked():
        assert export_version(version, "HDF5", tmp_path / "second") == first


def test_images_of_two_sizes_are_refused_by_name(tmp_path: Path) -> None:
    class TwoSizes(type(photo_version(tmp_path))):
        def samples(self, split):
            from dataclasses import replace

            for number, sample in enumerate(super().samples(split)):
                raster = sample.images["photo"]
                smaller = replace(raster, values=raster.values[:, : -number or None])
                yield replace(sample, images={"photo": smaller}, shapes=())

    made = photo_version(tmp_path / "again")
    version = TwoSizes(made.folder, made.modalities, made.originals, georeferenced=False)
    with pytest.raises(ExportError, match=r"images/photo of .* is uint8 .* one array can't contain both"):
        export_version(version, "HDF5", tmp_path / "out")
    assert not (tmp_path / "out").exists()
