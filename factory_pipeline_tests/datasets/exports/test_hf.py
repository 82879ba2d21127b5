"""HF exports: what `datasets` maps into memory is what the version holds."""

import json
from itertools import pairwise
from pathlib import Path

import datasets
import datasets.distributed
import numpy as np
import pytest

from factory_pipeline.datasets.exports import hf, shards
from factory_pipeline.datasets.exports.rasterize import index_mask
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.errors import ExportError
from factory_pipeline_tests.datasets.model.factories import (
    TWO_MODALITIES,
    MadeVersion,
    photo_version,
    satellite_version,
)

pytestmark = pytest.mark.integration  # loads Hugging Face's library


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the library keeps is left in the home of the user."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("batch_bytes", [hf.BATCH_BYTES, 1])
def test_every_sample_is_read_back_by_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_bytes: int
) -> None:
    monkeypatch.setattr(hf, "BATCH_BYTES", batch_bytes)
    # Shards of several rows, so that there are batches to divide them into.
    monkeypatch.setattr(shards, "SHARDS_FOR_ALL", 2)
    version = satellite_version(tmp_path, masks=True, targets=True, modalities=TWO_MODALITIES)
    export_version(version, "HF", tmp_path / "out")
    read = datasets.load_from_disk(str(tmp_path / "out"))
    assert {split: len(rows) for split, rows in read.items()} == version.counts
    for split, rows in read.items():
        assert rows.features["images/DEM"] == datasets.Array3D((1, 40, 48), "uint16")
        arrays = rows.with_format("numpy")
        for sample, row in zip(version.samples(split), arrays, strict=True):
            assert (row["name"], row["original_name"], row["crs"]) == (sample.name, sample.name, sample.crs)
            assert tuple(row["transform"]) == sample.transform
            assert len(json.loads(row["shapes"])) == len(sample.shapes)
            for modality, raster in sample.images.items():
                np.testing.assert_array_equal(row[f"images/{modality}"], raster.values)
            np.testing.assert_array_equal(row["masks"], index_mask(sample, version).values)
            np.testing.assert_array_equal(row["targets"], sample.target.values)


def test_the_index_lists_shards_that_are_even_and_what_is_in_them(
    photos: MadeVersion, tmp_path: Path
) -> None:
    export_version(photos, "HF", tmp_path / "out")
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert {split: sum(each["samples"] for each in listed) for split, listed in index["splits"].items()} == (
        photos.counts
    )
    assert index["labels"] == photos.values
    for listed in index["splits"].values():
        for shard in listed:
            path = tmp_path / "out" / shard["file"]
            assert path.stat().st_size == shard["bytes"]
            assert len(datasets.Dataset.from_file(str(path))) == shard["samples"]
        assert all(0 <= one["samples"] - next["samples"] <= 1 for one, next in pairwise(listed))


def test_ranks_get_every_sample_once(photos: MadeVersion, tmp_path: Path) -> None:
    export_version(photos, "HF", tmp_path / "out")
    train = datasets.load_from_disk(str(tmp_path / "out"))["train"]
    parts = [datasets.distributed.split_dataset_by_node(train, rank, 3) for rank in range(3)]
    names = [name for part in parts for name in part["name"]]
    assert sorted(names) == sorted(sample.name for sample in photos.samples("train"))


def test_the_same_version_gives_the_same_bytes(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True)
    first = export_version(version, "HF", tmp_path / "first")
    assert export_version(version, "HF", tmp_path / "second") == first


def test_a_shard_that_differs_is_found(tmp_path: Path) -> None:
    version = photo_version(tmp_path)
    export_version(version, "HF", tmp_path / "out")
    path, state = (tmp_path / "out" / "train" / name for name in ("data-00000-of-00008.arrow", hf.STATE))
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"train/state\.json differs"):
        hf.check(version, tmp_path / "out")
    told = json.loads(state.read_text())
    told["_fingerprint"] = hf._state("train", sorted(path.parent.glob("*.arrow")))["_fingerprint"]
    state.write_text(json.dumps(told))
    with pytest.raises(ExportError, match="differs when train is read back"):
        hf.check(version, tmp_path / "out")
