"""A home that version 0.1.0 made opens, and work in it goes on.

`home_0_1_0.tar.xz` was made by that version: a GEDI build of two footprints on the small sample archive, an
onboarded upload `tiles` of four images, and a dataset version with a RAW export. Its granules are left out.
"""

import shutil
import tarfile
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from factory_pipeline import DatasetClient
from factory_pipeline.cli.main import cli
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe, Subset
from factory_pipeline.hdf5 import FusedDataset
from factory_pipeline.orchestration.partitions import BATCHES, DATASETS, VERSIONS
from factory_pipeline.runs.build import run_build
from factory_pipeline.runs.instance import open_instance
from factory_pipeline.storage.layout import FactoryHome

ARCHIVED = Path(__file__).with_name("home_0_1_0.tar.xz")


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    """The home as version 0.1.0 left it, moved to another folder."""
    with tarfile.open(ARCHIVED) as archive:
        archive.extractall(tmp_path)
    return FactoryHome(tmp_path / "factory_home")


def client_of(home: FactoryHome) -> DatasetClient:
    return DatasetClient(home=home.root, on_progress=lambda *_: None)


def test_its_datasets_versions_and_exports_are_read(home: FactoryHome, tmp_path: Path) -> None:
    client = client_of(home)
    assert {collection.name: collection.items for collection in client.list_collections()} == {
        "gedi-agbd": 2,
        "tiles": 4,
    }
    (dataset,) = client.list_datasets()
    assert dataset.name == "Water tiles"
    (version,) = dataset.versions
    folder = client.download_dataset(version.id, "RAW", tmp_path / "raw")
    assert len(list((folder / "data").glob("*.tif"))) == 4
    fused = FusedDataset(home.default_output / "train_dataset.h5")
    assert fused[0]["Sentinel-2 L2A"].shape == (12, 32, 32)
    listed = CliRunner().invoke(cli, ["datasets"], env={"FACTORY_HOME": str(home.root)})
    assert listed.exit_code == 0
    assert "tiles" in listed.output


def test_its_dagster_instance_keeps_assets_partitions_and_runs(home: FactoryHome) -> None:
    with open_instance(home) as instance:
        assert len(instance.get_dynamic_partitions(BATCHES)) == 2
        (upload,) = instance.get_dynamic_partitions(DATASETS)
        (version,) = instance.get_dynamic_partitions(VERSIONS)
        materialized = {
            name: instance.get_materialized_partitions(dg.AssetKey(name))
            for name in ("batch_dataset", "onboarded_dataset", "raw_export")
        }
        runs = {run.job_name for run in instance.get_runs()}
    assert len(materialized["batch_dataset"]) == 2
    assert materialized["onboarded_dataset"] == {upload}
    assert materialized["raw_export"] == {version}
    assert {"onboard_dataset", "create_dataset_version"} <= runs


def test_a_version_is_extended_and_exported_anew(home: FactoryHome, tmp_path: Path) -> None:
    client = client_of(home)
    (dataset,) = client.list_datasets()
    split = {"train": 50, "test": 25, "validation": 25}
    tiles = next(one for one in client.list_collections() if one.name == "tiles")
    updated = client.update_dataset_version_from_collection(
        dataset.versions[0].id, tiles.id, split, ["Land", "Water"], ["COCO"], is_new_version_required=True
    )
    client.download_dataset(updated.version_id, "COCO", tmp_path / "coco")
    (dataset,) = client.list_datasets()
    assert sorted(version.number for version in dataset.versions) == ["1.0.0", "1.1.0"]


def test_its_build_goes_on(home: FactoryHome, small_archive: Path) -> None:
    for granule in (small_archive / "granules").glob("*.h5"):
        shutil.copy(granule, home.granule_inbox)
    settings = BuildSettings(
        granules=str(home.granule_inbox),
        output=home.default_output,
        catalog=str(small_archive),
        recipe=Recipe(batch_size=20, subset=Subset(dataset_size_max=2)),
        workers=1,
    )
    summary = run_build(home, settings, lambda _: None)
    assert len(FusedDataset(home.default_output / "train_dataset.h5")) == 2
    assert "Accepted                        4" in str(summary)
