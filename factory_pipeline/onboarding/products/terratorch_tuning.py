"""A person's choices for a training, and the configuration of one dataset with these and absolute paths."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_pipeline.onboarding.products.terratorch import SERIES_KEY, choose_model, write_terratorch
from factory_pipeline.yaml_document import read_yaml

TERRATORCH = "terratorch"
"""The command that trains."""
HOW_TO_INSTALL = (
    "TerraTorch is not installed here: run `pip install terratorch`, in this environment or in one whose"
    " `terratorch` command is on PATH, and start this again."
)
PATH_KEYS = ("_data_root", "_split")
"""Endings of the data module's keys whose values are paths."""


@dataclass(frozen=True)
class TuningChoices:
    """What a person changes in the training configuration of a dataset; None keeps what it has."""

    backbone: str | None = None
    max_epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None


UNCHANGED = TuningChoices()


def apply_choices(config: Mapping[str, Any], choices: TuningChoices) -> dict[str, Any]:
    """Return a training configuration with some choices changed.

    Args:
        config: as `terratorch_config` returns it, or as it was read from `terratorch.yaml`.
        choices: what is changed.
    """
    changed: dict[str, Any] = json.loads(json.dumps(config))
    model = changed["model"]["init_args"]["model_args"]
    if choices.backbone is not None and choices.backbone != model["backbone"]:
        names = model.get("backbone_bands") or _band_list(changed["data"]["init_args"])
        kept = {key: value for key, value in model.items() if not key.startswith(("backbone", "decoder"))}
        kept.pop("necks", None)
        chosen = choose_model(choices.backbone, names, model.get(SERIES_KEY, False))
        changed["model"]["init_args"]["model_args"] = chosen | kept
    if choices.max_epochs is not None:
        changed["trainer"]["max_epochs"] = choices.max_epochs
    if choices.batch_size is not None:
        changed["data"]["init_args"]["batch_size"] = choices.batch_size
    if choices.learning_rate is not None:
        changed["optimizer"]["init_args"]["lr"] = choices.learning_rate
    return changed


def _band_list(data: Mapping[str, Any]) -> list[str]:
    """Return the bands of a data module, of all modalities."""
    bands = data["dataset_bands"]
    return [name for part in bands.values() for name in part] if isinstance(bands, Mapping) else list(bands)


def write_resolved(configuration: Path, path: Path, choices: TuningChoices = UNCHANGED) -> None:
    """Write a configuration for use in any folder: its relative paths become absolute.

    They start from the folder of `configuration`. Absolute paths, as earlier versions wrote them, are moved
    to that folder, which may have been renamed.

    Args:
        configuration: `terratorch.yaml` of a finished dataset.
        path: of the copy.
        choices: what is changed in the copy.
    """
    root = configuration.parent.absolute()
    config = apply_choices(read_yaml(configuration, f"The configuration {configuration}"), choices)
    data = config["data"]["init_args"]
    for key, value in data.items():
        if key.endswith(PATH_KEYS):
            data[key] = (
                {name: _resolve_path(one, root) for name, one in value.items()}
                if isinstance(value, dict)
                else _resolve_path(value, root)
            )
    write_terratorch(path, config)


def _resolve_path(path: str, root: Path) -> str:
    parts = Path(path).parts
    if Path(path).is_absolute():
        own = root.parts[-2:]
        start = next((at + 2 for at in range(len(parts) - 1) if parts[at : at + 2] == own), None)
        if start is None:
            return path
        parts = parts[start:]
    return str(root.joinpath(*parts))
