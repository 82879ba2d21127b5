"""Choices for a training, and a configuration for use in any folder."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from factory_pipeline.onboarding.products.terratorch import choose_model
from factory_pipeline.onboarding.products.terratorch_tuning import (
    TuningChoices,
    apply_choices,
    write_resolved,
)

CONFIG: dict[str, Any] = {
    "trainer": {"max_epochs": 100},
    "data": {
        "init_args": {
            "batch_size": 8,
            "dataset_bands": ["RED", "NIR_NARROW"],
            "train_data_root": "training_data/s2",
            "train_split": "split_files/train.txt",
        }
    },
    "model": {"init_args": {"model_args": choose_model(None, ["RED", "NIR_NARROW"]) | {"num_classes": 3}}},
    "optimizer": {"init_args": {"lr": 1e-4}},
}


def test_what_is_not_chosen_stays():
    assert apply_choices(CONFIG, TuningChoices()) == CONFIG


def test_numbers_are_changed_in_a_copy():
    changed = apply_choices(CONFIG, TuningChoices(max_epochs=3, batch_size=2, learning_rate=0.5))
    assert changed["trainer"]["max_epochs"] == 3
    assert changed["data"]["init_args"]["batch_size"] == 2
    assert changed["optimizer"]["init_args"]["lr"] == 0.5
    assert CONFIG["trainer"]["max_epochs"] == 100


def test_another_backbone_has_its_own_arguments():
    model = apply_choices(CONFIG, TuningChoices(backbone="timm_resnet50"))["model"]["init_args"]["model_args"]
    assert model["backbone_in_chans"] == 2
    assert "necks" not in model
    assert model["num_classes"] == 3


@pytest.mark.parametrize("start", ["", "/moved/away/data/set/"])
def test_paths_start_from_the_folder_of_the_configuration(start: str, tmp_path: Path):
    folder = tmp_path / "data" / "set"
    folder.mkdir(parents=True)
    data = CONFIG["data"]["init_args"]
    paths = {key: start + data[key] for key in ("train_data_root", "train_split")}
    written = CONFIG | {"data": {"init_args": data | paths}}
    (folder / "terratorch.yaml").write_text(yaml.safe_dump(written))
    write_resolved(folder / "terratorch.yaml", tmp_path / "copy.yaml")
    found = yaml.safe_load((tmp_path / "copy.yaml").read_text())["data"]["init_args"]
    assert found["train_data_root"] == str(folder / "training_data" / "s2")
    assert found["train_split"] == str(folder / "split_files" / "train.txt")
