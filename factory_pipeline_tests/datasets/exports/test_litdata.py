"""LitData exports: the bytes that the library itself writes, of which every sample is read back."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.datasets.exports import litdata
from factory_pipeline.datasets.exports.rasterize import index_mask
from factory_pipeline.datasets.exports.sample_rows import columns_of
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.errors import ExportError
from factory_pipeline_tests.datasets.exports.litdata_reader import litdata_items
from factory_pipeline_tests.datasets.model.factories import (
    TWO_MODALITIES,
    MadeVersion,
    photo_version,
    satellite_version,
)


@pytest.mark.integration
def test_every_sample_is_read_back(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True, targets=True, modalities=TWO_MODALITIES)
    export_version(version, "LitData", tmp_path / "out")
    for split in version.counts:
        items = litdata_items(tmp_path / "out" / split)
        for sample, item in zip(version.samples(split), items, strict=True):
            said = [item[name] for name in ("name", "original_name", "crs")]
            assert said == [sample.name, sample.name, sample.crs]
            assert tuple(item["transform"]) == sample.transform
            assert len(json.loads(item["shapes"])) == len(sample.shapes)
            for modality, raster in sample.images.items():
                np.testing.assert_array_equal(item[f"images/{modality}"], raster.values)
            np.testing.assert_array_equal(item["masks"], index_mask(sample, version).values)
            np.testing.assert_array_equal(item["targets"], sample.target.values)


def test_items_are_the_bytes_that_the_library_writes(tmp_path: Path) -> None:
    """Hashes are of chunks that LitData 0.2.76's own writer made of the same dictionaries."""
    version = satellite_version(tmp_path, masks=True, targets=True, samples=2, augmented=False)
    export_version(version, "LitData", tmp_path / "out")
    chunks = sorted((tmp_path / "out" / "train").glob("*.bin"))
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in chunks] == BY_THE_LIBRARY


BY_THE_LIBRARY = [
    "5c09b70d4b0900c9fd7f3f62aef330084d42ecbe8295e22b9a1d66e5a6416f5a",
    "7b505f9bc8f58e59e9208d10fb185a850e1d387a9c138fc2568bc62dfa7d0d30",
]


def test_chunks_are_even_and_of_the_stated_size(
    photos: MadeVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litdata, "CHUNK_BYTES", 2 * 4 * 40 * 48)
    monkeypatch.setattr("factory_pipeline.datasets.exports.shards.SHARDS_FOR_ALL", 1)
    export_version(photos, "LitData", tmp_path / "out")
    index = json.loads((tmp_path / "out" / "train" / "index.json").read_text())
    assert [chunk["chunk_size"] for chunk in index["chunks"]] == [2] * 6


@pytest.mark.integration
def test_the_same_version_gives_the_same_bytes(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True)
    first = export_version(version, "LitData", tmp_path / "first")
    assert export_version(version, "LitData", tmp_path / "second") == first


@pytest.mark.integration
def test_a_chunk_that_differs_is_found(tmp_path: Path) -> None:
    version = photo_version(tmp_path)
    export_version(version, "LitData", tmp_path / "out")
    path, index = (tmp_path / "out" / "train" / name for name in ("chunk-0-0.bin", "index.json"))
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"train/index\.json differs"):
        litdata.check(version, tmp_path / "out")
    chunks = sorted(path.parent.glob("*.bin"), key=lambda each: int(each.stem.rpartition("-")[2]))
    sizes = [chunk["chunk_size"] for chunk in json.loads(index.read_text())["chunks"]]
    index.write_text(json.dumps(litdata._index(chunks, sizes, columns_of(version, "train"))))
    with pytest.raises(ExportError, match="differs when train is read back"):
        litdata.check(version, tmp_path / "out")
    path.write_bytes(content[:6])
    index.write_text(json.dumps(litdata._index(chunks, sizes, columns_of(version, "train"))))
    with pytest.raises(ExportError, match="can't be read back"):
        litdata.check(version, tmp_path / "out")
