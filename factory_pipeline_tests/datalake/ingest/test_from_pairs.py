"""Image pairs as a collection: what a version of them gives, and what is refused."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import rasterio

from factory_pipeline.datalake.ingest.from_pairs import collect_pairs
from factory_pipeline.datalake.registry.records import CollectionSource
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.errors import LakeError, PairFileError
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline.volumes.pair_dataset import PairDataset, make_dataset
from factory_pipeline_tests.datasets.versions.factories import MadeLake, made_lake, request
from factory_pipeline_tests.volumes.small_pairs import reference_fields, small_spec, small_volume

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[PairDataset, Path]:
    """Three pairs, a rejected one, and the fields of the reference aligner; tests copy them."""
    root = tmp_path_factory.mktemp("pairs")
    pairs = make_dataset(small_spec(small_volume(root)), root / "set")
    return pairs, reference_fields(pairs.paths.images, pairs.paths.fields, root)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[MadeLake]:
    with made_lake(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def files(made: tuple[PairDataset, Path], lake: MadeLake) -> tuple[Path, Path]:
    """Images and fields in the home of the lake."""
    pairs, fields = made
    folder = lake.home.root / "pairs"
    folder.mkdir(parents=True)
    for path in (pairs.paths.images, pairs.paths.table, fields):
        shutil.copy(path, folder)
    return folder / pairs.paths.images.name, folder / fields.name


def test_a_pair_is_an_item_and_rejected_pairs_are_none(lake, files):
    collection = collect_pairs(lake.registry, lake.home, "Sample pairs", *files)
    assert (collection.name, collection.source, collection.item_count) == (
        "sample-pairs",
        CollectionSource.PAIRS,
        3,
    )
    items = scan_items(resolve(collection.items_path, lake.home)).collect()
    assert items["id"][0] == "000000_x1144_y2192_z301_z300"
    assert items["width"].to_list() == [48] * 3
    assert items["height"].to_list() == [64] * 3
    assert set(items["split"]) == {"train", "validation"}
    assert items["metadata.src_z"].to_list() == [301, 304, 305]
    improved = items["metadata.correlation_after"] - items["metadata.correlation_before"]
    assert (improved > 0.1).all()
    assert items["media"][1][0]["path"].startswith("pairs/")


def test_the_same_files_are_the_same_collection_and_others_another_one(lake, files):
    first = collect_pairs(lake.registry, lake.home, "pairs", *files)
    assert collect_pairs(lake.registry, lake.home, "pairs", *files).id == first.id
    with h5py.File(files[1], "a") as file:
        file["main"][0] = 1
    assert collect_pairs(lake.registry, lake.home, "pairs", *files).id != first.id


@pytest.mark.integration
def test_versions_of_pairs_are_queried_and_exported(lake, files, tmp_path):
    collect_pairs(lake.registry, lake.home, "pairs", *files)
    asked = request(dataset_name="Pairs", labels=("pair",), operation_list=[], query="metadata.src_z >= 304")
    version = create_version(lake.registry, lake.home, asked)
    with open_content(lake.registry, lake.home, version.id) as content:
        export_version(content, "HDF5", tmp_path / "hdf5")
        export_version(content, "RAW", tmp_path / "raw")
    with h5py.File(files[0]) as images, h5py.File(files[1]) as fields:
        pairs, vectors = images["main"][1:], fields["main"][1:]
    with h5py.File(tmp_path / "hdf5" / "train.h5") as file:
        np.testing.assert_array_equal(file["images/pair"][:], pairs)
        np.testing.assert_array_equal(file["images/field"][:], vectors)
        assert file["images/pair"].attrs["band_names"].tolist() == ["src", "tgt"]
    written = sorted((tmp_path / "raw" / "data").iterdir())
    assert [path.name for path in written][:2] == [
        "000001_x1160_y2192_z304_z303_field.tif",
        "000001_x1160_y2192_z304_z303_pair.tif",
    ]
    with rasterio.open(written[1]) as source:
        np.testing.assert_array_equal(source.read(), pairs[0])
        assert source.nodata == 0


def test_a_pair_that_was_changed_after_the_version_is_not_read(lake, files):
    collect_pairs(lake.registry, lake.home, "pairs", *files)
    version = create_version(
        lake.registry, lake.home, request(dataset_name="Pairs", labels=("pair",), operation_list=[])
    )
    with h5py.File(files[0], "a") as file:
        file["main"][0, 1] = 7
    with (
        open_content(lake.registry, lake.home, version.id) as content,
        pytest.raises(LakeError, match="has changed since"),
    ):
        list(content.samples("train"))


def test_files_that_are_not_of_the_same_pairs_are_refused(lake, files):
    images, fields = files
    with h5py.File(fields, "a") as file:
        shorter = file["main"][:2]
        del file["main"]
        file["main"] = shorter
    with pytest.raises(PairFileError, match=r"has pairs of shape \(3, 2, 64, 48\), .* has \(2, 2, 64, 48\)"):
        collect_pairs(lake.registry, lake.home, "pairs", images, fields)
    table = images.with_suffix(".pairs.parquet")
    rows = pl.read_parquet(table)
    table.unlink()
    with pytest.raises(PairFileError, match=r"There is no file .*pairs.parquet"):
        collect_pairs(lake.registry, lake.home, "pairs", images, fields)
    assert rows["reason"].null_count() == 3
