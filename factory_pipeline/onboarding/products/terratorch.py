"""`terratorch.yaml`: a training configuration that `terratorch fit` takes as it is (TerraTorch 1.2).

Scaling factors are left out on purpose: each band is standardised by its own mean and deviation, which
cancels them. Statistics and pixels are both in stored units.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.band_statistics import BandStatistics
from factory_pipeline.onboarding.manifest.model import DataSource, Purpose, UploadManifest
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.onboarding.split_notes import taken_instead
from factory_pipeline.splits.assign import SPLIT_FILES
from factory_pipeline.splits.names import TEST, TRAIN, VALIDATION
from factory_pipeline.storage.atomic import write_text

IGNORED_CLASS = -1
"""Mask value that takes no part in the loss: no data."""
IGNORED_VALUE = -9999
"""Label of a regression that takes no part in the loss: no data."""
PATH_KEYS = ("_data_root", "_split")
"""How the keys of the data module end whose values are paths."""
REPLACED_PIXEL = 0
"""What no data in an image becomes before it is standardised."""

PRITHVI = "prithvi_eo_v2_300"
"""Backbone for optical images, trained on the bands of PRITHVI_BANDS; other bands start untrained."""
PRITHVI_BANDS = ("BLUE", "GREEN", "RED", "NIR_NARROW", "SWIR_1", "SWIR_2")
RESNET = "timm_resnet50"
"""Backbone for anything else, with any number of bands."""

_BAND_WORDS = {
    "coastal": "COASTAL_AEROSOL",
    "coastal_aerosol": "COASTAL_AEROSOL",
    "blue": "BLUE",
    "green": "GREEN",
    "red": "RED",
    "rededge1": "RED_EDGE_1",
    "rededge2": "RED_EDGE_2",
    "rededge3": "RED_EDGE_3",
    "red_edge_1": "RED_EDGE_1",
    "red_edge_2": "RED_EDGE_2",
    "red_edge_3": "RED_EDGE_3",
    "nir": "NIR_BROAD",
    "nir_broad": "NIR_BROAD",
    "nir08": "NIR_NARROW",
    "nir_narrow": "NIR_NARROW",
    "swir16": "SWIR_1",
    "swir_1": "SWIR_1",
    "swir1": "SWIR_1",
    "swir22": "SWIR_2",
    "swir_2": "SWIR_2",
    "swir2": "SWIR_2",
    "water_vapor": "WATER_VAPOR",
    "cirrus": "CIRRUS",
}
_SENTINEL2_BANDS = {
    "1": "COASTAL_AEROSOL",
    "2": "BLUE",
    "3": "GREEN",
    "4": "RED",
    "5": "RED_EDGE_1",
    "6": "RED_EDGE_2",
    "7": "RED_EDGE_3",
    "8": "NIR_BROAD",
    "8A": "NIR_NARROW",
    "9": "WATER_VAPOR",
    "10": "CIRRUS",
    "11": "SWIR_1",
    "12": "SWIR_2",
}


def terratorch_config(
    manifest: UploadManifest,
    parameters: TrainingParameters,
    split: pl.DataFrame,
    root: Path,
    backbone: str | None = None,
    batch_size: int = 8,
) -> dict[str, Any]:
    """The configuration as plain data.

    Args:
        manifest: with all bands of each data source filled in.
        parameters: of the training split.
        split: `stem`, `split`. A split without images is replaced by another, as TerraTorch needs all three.
        root: folder that the paths start from, as it shall stand in the file; `Path()` for the folder of the
            file itself.
        backbone: a backbone of TerraTorch; by default Prithvi where a band is one that it was trained on,
            else a ResNet-50.
        batch_size: lowered where there are fewer training images, as TerraTorch drops an incomplete batch.

    Raises:
        OnboardingError: MANIFEST_INVALID, the purpose is neither Segmentation nor Regression or a data source
            has no bands; CHECK_FAILED, a band has no valid training pixel.
    """
    if manifest.purpose not in (Purpose.SEGMENTATION, Purpose.REGRESSION):
        raise OnboardingError(
            "MANIFEST_INVALID",
            f"A TerraTorch configuration is made for Segmentation and Regression, not {manifest.purpose}.",
        )
    without_bands = [source.modality_tag for source in manifest.data_sources if not source.bands]
    if without_bands or not manifest.data_sources:
        raise OnboardingError(
            "MANIFEST_INVALID",
            f"The bands of {', '.join(without_bands) or 'every data source'} must be known for training.",
        )
    empty = [band.band for band in parameters.bands if not band.pixels]
    if empty:
        raise OnboardingError("CHECK_FAILED", f"No training image has a valid pixel in {', '.join(empty)}.")
    names = {source.modality_tag: hls_names(source) for source in manifest.data_sources}
    images = split.filter(pl.col("split") == TRAIN).height
    segments = manifest.purpose is Purpose.SEGMENTATION
    classes = class_names(manifest) if segments else []
    data = {
        "batch_size": max(min(batch_size, images), 1),
        "num_workers": 4,
        **({"num_classes": len(classes)} if segments else {}),
        **_split_files(split, root),
        "no_data_replace": REPLACED_PIXEL,
        "no_label_replace": IGNORED_CLASS if segments else IGNORED_VALUE,
    }
    single = len(manifest.data_sources) == 1
    data |= (
        _one_modality(manifest, parameters, names, root)
        if single
        else _many_modalities(manifest, parameters, names, root)
    )
    module = (
        "GenericMultiModalDataModule"
        if not single
        else "GenericNonGeoSegmentationDataModule"
        if segments
        else "GenericNonGeoPixelwiseRegressionDataModule"
    )
    all_names = [name for of_modality in names.values() for name in of_modality]
    return {
        "seed_everything": 0,
        "trainer": _TRAINER,
        "data": {"class_path": f"terratorch.datamodules.{module}", "init_args": data},
        "model": _task(parameters, classes, _model(backbone, all_names)),
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-4, "weight_decay": 0.05}},
        "lr_scheduler": {
            "class_path": "ReduceLROnPlateau",
            "init_args": {"monitor": "val/loss", "factor": 0.5, "patience": 5},
        },
    }


def write_terratorch(path: Path, config: Mapping[str, Any]) -> None:
    """Write `terratorch.yaml`."""
    # By way of JSON, lists that occur twice are two lists: YAML would write an anchor and an alias.
    plain = json.loads(json.dumps(config))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    write_text(path, f"# In this folder: terratorch fit --config {path.name}\n{text}")


def write_resolved(configuration: Path, path: Path) -> None:
    """Write a configuration for use in any folder: its relative paths start from where `configuration` is.

    Absolute paths, as earlier versions wrote them, are understood as below that folder, which may have moved.

    Args:
        configuration: `terratorch.yaml` of a finished dataset.
        path: where the copy is written.
    """
    root = configuration.parent.absolute()
    config = yaml.safe_load(configuration.read_text(encoding="utf-8"))
    data = config["data"]["init_args"]
    for key, value in data.items():
        if key.endswith(PATH_KEYS):
            data[key] = (
                {name: _resolved(one, root) for name, one in value.items()}
                if isinstance(value, dict)
                else _resolved(value, root)
            )
    write_terratorch(path, config)


def _resolved(path: str, root: Path) -> str:
    parts = Path(path).parts
    if Path(path).is_absolute():
        own = root.parts[-2:]
        start = next((at + 2 for at in range(len(parts) - 1) if parts[at : at + 2] == own), None)
        if start is None:
            return path
        parts = parts[start:]
    return str(root.joinpath(*parts))


def class_names(manifest: UploadManifest) -> list[str]:
    """A name per mask value from 0 on: TerraTorch counts classes, so a gap between ids is a class too."""
    names = {category.id: category.name for category in manifest.label_categories}
    return [names.get(value, f"unused {value}") for value in range(max(names) + 1)]


def hls_names(source: DataSource) -> list[str]:
    """The bands of a source in the order of the file, by TerraTorch's own names where they have one.

    Numbered bands are understood for Sentinel-2 only: other sensors number other bands.
    """
    numbered = "sentinel-2" in source.collection.lower() or re.fullmatch(r"(?i)s2\w*", source.modality_tag)
    names: list[str] = []
    for band in sorted(source.bands, key=lambda band: band.index):
        word = _BAND_WORDS.get(re.sub(r"[^a-z0-9]+", "_", band.band_name.lower()).strip("_"))
        code = re.fullmatch(r"(?i)b0?(\d+a?)", band.band_name)
        if word is None and code and numbered:
            word = _SENTINEL2_BANDS.get(code[1].upper())
        names.append(word if word and word not in names else band.band_name)
    return names


def rgb_indices(source: DataSource) -> list[int]:
    """Positions of red, green and blue, else of the first bands, always three."""
    bands = sorted(source.bands, key=lambda band: band.index)
    position: dict[str | None, int] = {band.rgb_band: place for place, band in enumerate(bands)}
    if all(channel in position for channel in "RGB"):
        return [position[channel] for channel in "RGB"]
    return [min(place, len(bands) - 1) for place in range(3)]


def _split_files(split: pl.DataFrame, root: Path) -> dict[str, str]:
    instead = taken_instead(set(split["split"]))
    return {
        key: str(root / "split_files" / SPLIT_FILES[instead.get(split_name, split_name)])
        for key, split_name in (("train_split", TRAIN), ("val_split", VALIDATION), ("test_split", TEST))
    }


def _one_modality(
    manifest: UploadManifest, parameters: TrainingParameters, names: dict[str, list[str]], root: Path
) -> dict[str, Any]:
    ((suffix, tag),) = manifest.modalities.items()
    images, labels = str(root / "training_data" / tag), str(root / "labels")
    bands = parameters.of(tag)
    return {
        **{f"{part}_data_root": images for part in ("train", "val", "test")},
        **{f"{part}_label_data_root": labels for part in ("train", "val", "test")},
        "img_grep": f"*{suffix}",
        "label_grep": f"*{manifest.label_suffix}",
        "dataset_bands": names[tag],
        "output_bands": names[tag],
        "rgb_indices": rgb_indices(manifest.data_sources[0]),
        "means": _means(bands),
        "stds": _stds(bands),
    }


def _many_modalities(
    manifest: UploadManifest, parameters: TrainingParameters, names: dict[str, list[str]], root: Path
) -> dict[str, Any]:
    tags = list(names)
    images = {tag: str(root / "training_data" / tag) for tag in tags}
    labels = str(root / "labels")
    first_rgb = next(
        (source for source in manifest.data_sources if _has_rgb(source)), manifest.data_sources[0]
    )
    return {
        "task": manifest.purpose.value.lower(),
        "modalities": tags,
        **{f"{part}_data_root": images for part in ("train", "val", "test")},
        **{f"{part}_label_data_root": labels for part in ("train", "val", "test")},
        "image_grep": {tag: f"*{suffix}" for suffix, tag in manifest.modalities.items()},
        "label_grep": f"*{manifest.label_suffix}",
        "allow_substring_file_names": False,
        "dataset_bands": names,
        "output_bands": names,
        "rgb_indices": {first_rgb.modality_tag: rgb_indices(first_rgb)},
        # One stack of all bands goes into one backbone.
        "concat_bands": True,
        "means": {tag: _means(parameters.of(tag)) for tag in tags},
        "stds": {tag: _stds(parameters.of(tag)) for tag in tags},
    }


def _task(parameters: TrainingParameters, classes: list[str], model: dict[str, Any]) -> dict[str, Any]:
    shared = {"model_factory": "EncoderDecoderFactory", "freeze_backbone": False, "freeze_decoder": False}
    if not classes:
        return {
            "class_path": "terratorch.tasks.PixelwiseRegressionTask",
            "init_args": {**shared, "model_args": model, "loss": "rmse", "ignore_index": IGNORED_VALUE},
        }
    weights = {known.id: known.weight for known in parameters.classes}
    return {
        "class_path": "terratorch.tasks.SemanticSegmentationTask",
        "init_args": {
            **shared,
            "model_args": {**model, "num_classes": len(classes)},
            "loss": "ce",
            "ignore_index": IGNORED_CLASS,
            "class_weights": [weights.get(value, 1.0) for value in range(len(classes))],
            "class_names": classes,
        },
    }


def _model(backbone: str | None, names: list[str]) -> dict[str, Any]:
    name = backbone or (PRITHVI if set(names) & set(PRITHVI_BANDS) else RESNET)
    model: dict[str, Any] = {"backbone": name, "backbone_pretrained": True}
    decoder: dict[str, Any] = {"decoder": "UNetDecoder", "decoder_channels": [512, 256, 128, 64]}
    if name.startswith("timm_"):
        decoder["decoder_channels"] = [512, 256, 128, 64, 32]
        return {**model, "backbone_in_chans": len(names), **decoder}
    return {
        **model,
        "backbone_bands": names,
        "backbone_num_frames": 1,
        "necks": [
            {"name": "SelectIndices", "indices": _LAYERS.get(name, [2, 5, 8, 11])},
            {"name": "ReshapeTokensToImage"},
            {"name": "LearnedInterpolateToPyramidal"},
        ],
        **decoder,
    }


_LAYERS = {
    "prithvi_eo_v2_300": [5, 11, 17, 23],
    "prithvi_eo_v2_300_tl": [5, 11, 17, 23],
    "prithvi_eo_v2_600": [7, 15, 23, 31],
    "prithvi_eo_v2_600_tl": [7, 15, 23, 31],
}
"""Layers whose features the decoder takes, a quarter of the depth apart; smaller models have 12 layers."""

_TRAINER = {
    "accelerator": "auto",
    "devices": "auto",
    # Plots of a regression on validation fail in half precision.
    "precision": "32-true",
    "max_epochs": 100,
    "log_every_n_steps": 5,
    "default_root_dir": "terratorch_runs",
    "enable_checkpointing": True,
    "logger": True,
    "callbacks": [
        {"class_path": "RichProgressBar"},
        {"class_path": "LearningRateMonitor", "init_args": {"logging_interval": "epoch"}},
        {"class_path": "EarlyStopping", "init_args": {"monitor": "val/loss", "patience": 20}},
    ],
}


def _has_rgb(source: DataSource) -> bool:
    return {"R", "G", "B"} <= {band.rgb_band for band in source.bands}


def _means(bands: tuple[BandStatistics, ...]) -> list[float]:
    return [band.mean for band in bands if band.mean is not None]


def _stds(bands: tuple[BandStatistics, ...]) -> list[float]:
    """Deviations to divide by; a constant band is divided by 1."""
    return [band.std or 1.0 for band in bands]
