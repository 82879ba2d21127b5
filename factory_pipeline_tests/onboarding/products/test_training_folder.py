"""Trainings in a home on the local disk, and in one on an object store, by a program that stands in for
TerraTorch: it reads the configuration and a file of the dataset, and writes what a training writes.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_pipeline.onboarding.products.terratorch_tuning import TuningChoices
from factory_pipeline.onboarding.products.training_folder import CONFIGURATION, training_folder
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.stored_path import StoredPath, to_path
from factory_pipeline.yaml_document import read_yaml
from factory_pipeline_tests.storage.memory_store import memory_stores

pytestmark = pytest.mark.integration

KEY = "tiles@0123abcd"
OWN = """
data: {class_path: terratorch.datamodules.Generic, init_args: {train_data_root: images, batch_size: 8}}
model: {class_path: terratorch.tasks.Task, init_args: {model_args: {backbone: prithvi_eo_v2_300}}}
optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 0.0001}}
trainer: {max_epochs: 20}
"""
TRAINER = """
import pathlib, sys, yaml
data = yaml.safe_load(pathlib.Path(sys.argv[1]).read_text())["data"]["init_args"]
image = (pathlib.Path(data["train_data_root"]) / "a.tif").read_bytes()
pathlib.Path("runs").mkdir(exist_ok=True)
pathlib.Path("runs", "model.ckpt").write_bytes(image * data["batch_size"])
pathlib.Path(".cache").mkdir(exist_ok=True)
pathlib.Path(".cache", "weights").write_bytes(b"0")
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Path]:
    """The path of an empty bucket in memory; the copies are in tmp_path/scratch."""
    with memory_stores(tmp_path / "scratch"):
        yield to_path("s3://bucket")


def dataset_in(home: FactoryHome) -> FactoryHome:
    finished = home.upload(KEY).finished
    write_text(finished.terratorch, OWN)
    write_text(finished.root / "images" / "a.tif", "pixels")
    return home


def train(home: FactoryHome, batch_size: int, code: int = 0) -> None:
    with training_folder(home, KEY, TuningChoices(batch_size=batch_size)) as folder:
        assert not isinstance(folder, StoredPath)
        command = [sys.executable, "-c", TRAINER, str(folder / CONFIGURATION), str(code)]
        subprocess.run(command, cwd=folder, check=True)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_in_a_local_home_the_training_stays_in_its_folder(tmp_path: Path) -> None:
    home = dataset_in(FactoryHome(tmp_path / "home"))
    train(home, 2)
    files = files_below(home.training(KEY))
    assert files.keys() == {CONFIGURATION, "runs/model.ckpt", ".cache/weights"}
    assert files["runs/model.ckpt"] == b"pixels" * 2


def test_in_a_home_on_a_store_the_dataset_is_fetched_and_the_model_published(
    bucket: Path, tmp_path: Path
) -> None:
    home = dataset_in(FactoryHome(bucket / "home"))
    assert isinstance(home.training(KEY), StoredPath)
    train(home, 2)
    files = files_below(home.training(KEY))
    assert files.keys() == {CONFIGURATION, "runs/model.ckpt"}
    assert files["runs/model.ckpt"] == b"pixels" * 2
    write_text(home.training(KEY) / "runs" / "earlier.ckpt", "of an earlier training")
    with pytest.raises(subprocess.CalledProcessError):
        train(home, 3, code=1)
    assert files_below(home.training(KEY)).keys() == {*files, "runs/earlier.ckpt"}, "a failure leaves it"
    train(home, 3)
    again = files_below(home.training(KEY))
    assert again.keys() == files.keys()
    assert again["runs/model.ckpt"] == b"pixels" * 3
    assert list((tmp_path / "scratch" / "training").iterdir()) == []
    data = read_yaml(home.training(KEY) / CONFIGURATION, "the configuration")["data"]["init_args"]
    assert Path(data["train_data_root"]).is_absolute()
    assert Path(data["train_data_root"], "a.tif").read_text() == "pixels"
