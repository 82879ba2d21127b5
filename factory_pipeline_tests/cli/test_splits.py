"""`factory splits`: text, JSON and a map of a build's splits."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from factory_pipeline.builds.gedi_splits import samples_of, split_record
from factory_pipeline.builds.recipe_split_record import record_splits
from factory_pipeline.cli.main import cli
from factory_pipeline.cli.splits import describe_rule
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.hdf5.factories import made_samples, part_of
from factory_pipeline_tests.hdf5.recipe_factories import recipe_of, write_fused


@pytest.fixture
def output(tmp_path: Path) -> Path:
    files = BuildFiles(tmp_path / "output")
    files.root.mkdir()
    samples = made_samples(10)
    write_dataset(files.fused("train"), part_of(samples, 0, 6), Recipe(), "train")
    write_dataset(files.fused("test"), part_of(samples, 6, 10), Recipe(), "test")
    split_record(Recipe(), files).write(files.splits)
    return files.root


@pytest.mark.integration  # loads matplotlib
def test_the_splits_of_a_build_are_told_and_drawn(output: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "map.png"
    done = CliRunner().invoke(cli, ["splits", str(output), "--map", str(drawn)])
    assert done.exit_code == 0, done.output
    record = json.loads((output / "splits.json").read_text())
    assert f"Splits     {record['splits']['train']} train, {record['splits']['test']} test" in done.output
    assert record["sentences"][0] in done.output
    assert Image.open(drawn).size[0] > 400
    letters = CliRunner().invoke(cli, ["splits", str(output), "--map", "-"])
    assert "# train, o test, + validation, * several" in letters.output
    assert not Path("-").exists()
    told = CliRunner().invoke(cli, ["splits", str(output), "--json"])
    assert json.loads(told.output)["pairs"] == record["pairs"]
    assert samples_of(BuildFiles(output)).height == sum(record["splits"].values())


RECIPE = """
name: sites
labels: {kind: points, path: sites.csv}
window: {size: 8, pixel_size: 10}
sources: {dem: {collection: cop-dem-glo-30, assets: [data]}}
splits: {by: blocks, block_m: 50000, train: 60, test: 40}
"""


def test_the_build_of_a_recipe_is_found_by_its_name_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, recipe = FactoryHome(tmp_path / "home"), recipe_of(RECIPE)
    monkeypatch.setenv("FACTORY_HOME", str(home.root))
    home.upload_inbox.mkdir(parents=True)
    settings = DatasetSettings(recipe=recipe, output=tmp_path / "sites")
    settings.save(home)
    files = settings.files
    files.root.mkdir()
    write_fused(files.fused("train"), recipe, ["a", "b"])
    write_fused(files.fused("test"), recipe, ["c"], split="test", seed=1)
    record_splits(recipe, files).write(files.splits)
    found = CliRunner().invoke(cli, ["splits", "sites", "--map", "-"])
    assert found.exit_code == 0, found.exception
    assert "of 50,000 m" in found.output
    assert "# train, o test, + validation, * several" in found.output
    assert found.output == CliRunner().invoke(cli, ["splits", str(files.root), "--map", "-"]).output
    missing = CliRunner().invoke(cli, ["splits", "others"])
    assert "No dataset is named others" in str(missing.exception)


def test_the_blocks_that_are_held_out_are_counted(output: Path) -> None:
    files = BuildFiles(output)
    held_out = Recipe.parse({"split": {"space": "blocks", "block_m": 50_000}}, "r")
    split_record(held_out, files).write(files.splits)
    done = CliRunner().invoke(cli, ["splits", str(output)])
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.output.splitlines() if line.startswith("Blocks")]
    assert line.endswith("of 50,000 m")
    assert "train" in line


def test_a_rule_is_told_in_words() -> None:
    shares = {"train": 60.0, "test": 40.0}
    rule = {
        "method": "random",
        "percentages": shares,
        "keep_splits": True,
        "given": False,
        "balance": [],
        "seed": 0,
    }
    assert describe_rule(rule) == "method random, percentages train 60 test 40, keep_splits, seed 0"
