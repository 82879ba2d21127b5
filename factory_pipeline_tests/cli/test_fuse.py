"""`factory fuse`: a dataset file whose rasters are stored in another way."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from factory_pipeline.cli.fuse import COMPRESSIONS
from factory_pipeline.cli.main import cli
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.codec import Compression
from factory_pipeline.hdf5.read import FusedDataset
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples


def fuse(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["fuse", *map(str, arguments)])


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "train_dataset.h5", made_samples(3), Recipe(), "train")
    return tmp_path / "train_dataset.h5"


def test_a_twin_without_compression_is_written(dataset: Path) -> None:
    twin = dataset.with_name("train_plain.h5")
    ended = fuse(dataset, "--output", twin)
    assert ended.exit_code == 0
    assert ended.output == f"{twin}: 3 samples, compression none\n"
    assert twin.stat().st_size > dataset.stat().st_size
    assert len(FusedDataset(twin)) == 3


def test_scripts_get_json(dataset: Path) -> None:
    twin = dataset.with_name("train_zstd.h5")
    ended = fuse(dataset, "--output", twin, "--compression", "zstd", "--json")
    assert json.loads(ended.output) == {"file": str(twin), "samples": 3, "compression": "zstd"}


def test_every_compression_can_be_named() -> None:
    assert tuple(Compression) == COMPRESSIONS
