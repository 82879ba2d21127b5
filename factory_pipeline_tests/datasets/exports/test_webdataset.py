"""WebDataset exports: shards of even size, the same bytes each time, read back member by member."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.datasets.exports import webdataset
from factory_pipeline.datasets.exports.rasterize import index_mask
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.errors import ExportError
from factory_pipeline_tests.datasets.model.factories import TWO_MODALITIES, photo_version, satellite_version


def members(folder: Path, split: str) -> list[dict[str, bytes]]:
    """The members of each sample of a split by what follows its key, read by tarfile alone."""
    samples: dict[str, dict[str, bytes]] = {}
    for path in sorted(folder.glob(f"{split}-*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, name = member.name.partition(".")
                samples.setdefault(key, {})[name] = tar.extractfile(member).read()
    return [samples[key] for key in sorted(samples)]


@pytest.mark.integration
def test_every_sample_is_read_back_by_tarfile_and_numpy(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True, targets=True, modalities=TWO_MODALITIES)
    export_version(version, "WebDataset", tmp_path / "out")
    for split in version.counts:
        found = members(tmp_path / "out", split)
        for sample, parts in zip(version.samples(split), found, strict=True):
            record = json.loads(parts["json"])
            assert (record["name"], record["crs"]) == (sample.name, sample.crs)
            assert tuple(record["transform"]) == sample.transform
            assert len(record["shapes"]) == len(sample.shapes)
            arrays = {name: np.load(io.BytesIO(content)) for name, content in parts.items() if name != "json"}
            for modality, raster in sample.images.items():
                np.testing.assert_array_equal(arrays[f"{modality.lower()}.npy"], raster.values)
            if "mask.npy" in arrays:
                np.testing.assert_array_equal(arrays["mask.npy"], index_mask(sample, version).values)
            else:
                assert sample.mask is None
                assert not any(shape.rings for shape in sample.shapes)
            np.testing.assert_array_equal(arrays["target.npy"], sample.target.values)


@pytest.mark.integration
def test_the_same_version_gives_the_same_bytes(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True)
    first = export_version(version, "WebDataset", tmp_path / "first")
    assert export_version(version, "WebDataset", tmp_path / "second") == first


def test_a_shard_that_differs_is_found(tmp_path: Path) -> None:
    version = photo_version(tmp_path)
    export_version(version, "WebDataset", tmp_path / "out")
    path = tmp_path / "out" / "train-000000.tar"
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(content)
    with pytest.raises(ExportError, match="differs when its shard is read back"):
        webdataset.check(version, tmp_path / "out")


def test_modalities_whose_members_would_have_one_name_are_refused(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, modalities={"mask": ("B02",)})
    with pytest.raises(ExportError, match="modality mask has the name of another member"):
        webdataset.write(version, tmp_path)
