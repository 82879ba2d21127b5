"""Samples of datasets that are not of GEDI: real formats, the same bytes each time."""

from pathlib import Path

import pytest
import rasterio
from click.testing import CliRunner

from factory_pipeline.cli.main import cli
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.synthetic.samples.make import DATASETS, make_dataset_sample
from factory_pipeline_tests.builds.builds import files_below


def run(*arguments: object) -> tuple[int, str]:
    ran = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    return ran.exit_code, ran.output


@pytest.mark.integration
def test_the_same_seed_gives_the_same_bytes_and_another_other_labels(tmp_path: Path) -> None:
    made = [make_dataset_sample("burn-scars", tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1))]
    assert files_below(made[0].root) == files_below(made[1].root)
    other = make_dataset_sample("burn-scars", tmp_path / "c", 2)
    assert other.labels.read_bytes() != made[0].labels.read_bytes()


@pytest.mark.integration
def test_by_the_command_line(tmp_path: Path) -> None:
    output = tmp_path / "sample"
    code, told = run("sample", "--dataset", "burn-scars", "--output", output)
    assert code == 0, told
    assert f"factory create-dataset --recipe {output / 'burn-scars.yaml'} --catalog {output}" in told
    assert DatasetRecipe.load(output / "burn-scars.yaml").name == "burn-scars"
    before = files_below(output)
    assert run("sample", "--dataset", "burn-scars", "--output", output)[0] == 0
    assert files_below(output) == before
    code, told = run("sample", "--dataset", "crops", "--output", output)
    assert code
    assert "has another archive; name another folder by --output" in told
    with rasterio.open(next(output.glob("rasters/hls2-s30/*/B04.tif"))) as dataset:
        assert (dataset.dtypes[0], dataset.nodata, dataset.res) == ("int16", -9999, (30, 30))


@pytest.mark.parametrize("option", ["--volume", "--granules"])
def test_what_does_not_go_together_is_refused(tmp_path: Path, option: str) -> None:
    options = [option] if option == "--volume" else [option, tmp_path]
    code, told = run("sample", "--dataset", "canopy", "--output", tmp_path / "sample", *options)
    assert code == 2
    assert "remove --" in told
    assert not (tmp_path / "sample").exists()


def test_the_command_offers_every_sample() -> None:
    offered = next(option for option in cli.commands["sample"].params if option.name == "dataset")
    assert tuple(offered.type.choices) == DATASETS
