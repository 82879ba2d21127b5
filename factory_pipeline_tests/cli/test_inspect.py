"""`factory inspect`: what a dataset file holds, and a sheet of its chips."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from factory_pipeline.cli.main import cli
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples


def inspect(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["inspect", *map(str, arguments)])


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "train_dataset.h5", made_samples(3), Recipe(), "train")
    return tmp_path / "train_dataset.h5"


def test_the_sheet_lies_beside_the_file(dataset: Path):
    ended = inspect(dataset)
    assert ended.exit_code == 0
    assert dataset.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_is_missing_is_told_and_not_made(dataset: Path):
    ended = inspect(dataset, "--sheet", dataset.parent / "new" / "sheet.png")
    assert ended.exit_code == 2
    assert f"there is no folder {dataset.parent / 'new'}" in " ".join(ended.output.split())
    assert not (dataset.parent / "new").exists()


def test_an_empty_dataset_says_why_there_is_no_sheet(tmp_path: Path):
    write_dataset(tmp_path / "empty.h5", made_samples(0), Recipe(), "train")
    ended = inspect(tmp_path / "empty.h5")
    assert ended.exit_code == 0
    assert "Sheet of chips: none, as the dataset contains no samples." in ended.output
    assert not (tmp_path / "empty.png").exists()
