"""A dataset of GEDI's heights: two products joined, profiles in the file, what is left out in the ledger."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from factory_pipeline.builds.dataset_plan import StoredDatasetPlan
from factory_pipeline.cli.main import cli
from factory_pipeline.config.dataset_recipe import DatasetRecipe, load_recipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.datalake.ingest.from_recipe import collect_recipe
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.hdf5 import FusedDataset
from factory_pipeline.hdf5.describe_recipe import describe_recipe_file
from factory_pipeline.hdf5.verify_recipe import check_recipe_file
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.builds.gedi.product_granules import FIRST, fields_of, write_product
from factory_pipeline_tests.builds.recipes.archives import build, degrees, make_archive, scene

pytestmark = pytest.mark.integration
"""A whole build, of which `make test-fast` has only the parts."""

RECIPE = """
name: heights
labels:
  kind: gedi
  path: granules
  products:
    L2A: [rh, rh98, sensitivity]
    L4A: [agbd, land_cover_data/pft_class]
  filters: l4a-quality
  target: {column: rh}
  extra: [shot_number, beam]
window: {size: 8, pixel_size: 10}
sources:
  s2: {collection: sentinel-2-l2a, assets: [B04], time: {around: 10d}}
splits: {by: column, column: beam, train: BEAM0101, test: BEAM1011}
"""
BEAMS = {"BEAM0101": range(FIRST, FIRST + 6), "BEAM1011": range(FIRST + 600_000_000, FIRST + 600_000_003)}


def beams_of(product: str) -> dict[str, dict[str, Any]]:
    """Shots half a kilometre apart; the last one of each beam is not of good quality."""
    made = {}
    for row, (beam, shots) in enumerate(BEAMS.items()):
        fields = fields_of(product, shots)
        places = [degrees(500 + 500 * n, 500 + 1000 * row) for n in range(len(shots))]
        fields["lon_lowestmode"], fields["lat_lowestmode"] = np.array(places).T
        seconds = (datetime(2021, 6, 14, tzinfo=UTC) - datetime(2018, 1, 1, tzinfo=UTC)).total_seconds()
        fields["delta_time"] = seconds + np.arange(len(shots)) * 0.008
        if product == "L4A":
            fields["l4_quality_flag"][-1] = 0
        made[beam] = fields
    return made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DatasetSettings]:
    folder = tmp_path_factory.mktemp("heights")
    make_archive(folder / "archive", [scene("sentinel-2-l2a", "S2A_one", "2021-06-12", only=("B04",))])
    for product in ("L2A", "L4A"):
        write_product(folder / "granules", product, beams_of(product))
    (folder / "heights.yaml").write_text(RECIPE)
    recipe = load_recipe(folder / "heights.yaml")
    assert isinstance(recipe, DatasetRecipe)
    settings, _ = build(recipe, folder / "out", str(folder / "archive"))
    return folder, settings


def test_the_file_has_the_profiles_and_says_what_they_are(built: tuple[Path, DatasetSettings]) -> None:
    folder, _ = built
    path = folder / "out/train_dataset.h5"
    expected = fields_of("L2A", BEAMS["BEAM0101"])
    with h5py.File(path) as file:
        shots = file["extra/shot_number"][:, 0]
        order = (shots - FIRST).tolist()
        assert sorted(order) == [0, 1, 2, 3, 4]
        assert file["provenance/Id"].asstr()[:, 0].tolist() == [str(shot) for shot in shots]
        for name in ("data/label", "extra/rh"):
            np.testing.assert_array_equal(file[name][()], expected["rh"][order])
            assert file[name].attrs["units"] == "m"
            assert file[name].attrs["axis"] == "percentile"
            np.testing.assert_array_equal(file[name].attrs["axis_values"], np.arange(101))
        np.testing.assert_array_equal(file["extra/rh98"][:, 0], expected["rh"][order, 98])
        assert file["extra/rh98"].attrs["description"] == "GEDI L2A elevation and height metrics: rh[98]"
        agbd = fields_of("L4A", BEAMS["BEAM0101"])["agbd"]
        np.testing.assert_array_equal(file["extra/agbd"][:, 0], agbd[order])
        assert file["extra/agbd"].attrs["units"] == "Mg/ha"
        assert file["extra/pft_class"].dtype == np.int64
    sample = FusedDataset(path)[0]
    assert sample["label"].shape == (101,)
    assert sample["s2"].shape == (1, 8, 8)
    heights = expected["rh"][order]
    assert describe_recipe_file(path).label_range == (heights.min(), heights.max())


def test_what_is_left_out_is_in_the_ledger(built: tuple[Path, DatasetSettings]) -> None:
    rejects = pl.read_parquet(built[0] / "out/rejects.parquet")
    last = [str(shots[-1]) for shots in BEAMS.values()]
    assert rejects["id"].to_list() == last
    assert set(rejects["reason"]) == {"l4a-quality.l4_quality_flag"}
    assert rejects["detail"][0] == "l4_quality_flag = 1 is not true, l4_quality_flag is 0"


def test_the_same_granules_give_the_same_batches_and_bytes(
    built: tuple[Path, DatasetSettings], tmp_path: Path
) -> None:
    folder, settings = built
    _, summary = build(settings.recipe, tmp_path, settings.catalog)
    assert summary.samples == {"train": 5, "test": 2}
    for split in summary.samples:
        name = f"{split}_dataset.h5"
        assert (tmp_path / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_check_recipe_counts_the_shots(built: tuple[Path, DatasetSettings]) -> None:
    ran = CliRunner().invoke(cli, ["check-recipe", str(built[0] / "heights.yaml")])
    assert ran.exit_code == 0, ran.output
    assert "labels: l4a-quality.l4_quality_flag" in ran.output
    assert "Granules: 1 of L2A 002, 1 of L4A 002." in ran.output


def test_the_samples_are_items_with_their_profiles(
    built: tuple[Path, DatasetSettings], tmp_path: Path
) -> None:
    folder, settings = built
    fused = [settings.files.fused(split) for split in ("train", "test")]
    assert not [found for path in fused for found in check_recipe_file(path) if not found.passed]
    times = StoredDatasetPlan(settings.files.batch_plan).scan().select("id", "start", "end").collect()
    home = FactoryHome(tmp_path / "home")
    with closing(Registry.open(home.registry)) as registry:
        collection = collect_recipe(registry, home, settings.recipe, fused, times)
        assert not registry.operations(collection.id)
    items = scan_items(resolve(collection.items_path, home)).collect()
    with h5py.File(folder / "out/train_dataset.h5") as file:
        np.testing.assert_array_equal(items["metadata.rh"][:5].to_list(), file["extra/rh"][()])
    assert items["metadata.beam"].to_list() == ["BEAM0101"] * 5 + ["BEAM1011"] * 2
