"""`terratorch.yaml`: a training configuration that `terratorch fit` can use directly (TerraTorch 1.2).

Scaling factors are not applied on purpose: each band is standardised by its own mean and deviation, which
cancels them. Statistics and pixels are both in stored units.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.band_statistics import BandStatistics
from factory_pipeline.onboarding.manifest.model import Purpose, UploadManifest
from factory_pipeline.onboarding.manifest.sections import DataSource
from factory_pipeline.onboarding.products.terratorch_bands import (
    has_rgb,
    hls_names,
    rgb_indices,
    step_source,
)
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.onboarding.split_notes import replacement_splits
from factory_pipeline.splits.assign import SPLIT_FILES
from factory_pipeline.splits.names import TEST, TRAIN, VALIDATION
from factory_pipeline.storage.atomic import write_text

IGNORED_CLASS = -1
"""Mask value that the loss ignores: no data."""
IGNORED_VALUE = -9999
"""Label of a regression that the loss ignores: no data."""
REPLACED_PIXEL = 0
"""Value that replaces no data in an image before it is standardised."""

PRITHVI = "prithvi_eo_v2_300"
"""Backbone for optical images, trained on the bands of PRITHVI_BANDS; other bands start untrained."""
PRITHVI_BANDS = ("BLUE", "GREEN", "RED", "NIR_NARROW", "SWIR_1", "SWIR_2")
RESNET = "timm_resnet50"
"""Backbone for anything else, with any number of bands."""
SERIES_KEY = "backbone_use_temporal"
"""Argument of a model whose images have several steps."""


def terratorch_config(
    manifest: UploadManifest,
    parameters: TrainingParameters,
    split: pl.DataFrame,
    root: Path,
    backbone: str | None = None,
    batch_size: int = 8,
) -> dict[str, Any]:
    """Return the configuration as plain data.

    Args:
        manifest: with all bands of each data source filled in.
        parameters: of the training split.
        split: `stem`, `split`. A split without images is replaced by another, as TerraTorch needs all three.
        root: folder that the paths start from, as it is written to the file; `Path()` for the folder of the
            file itself.
        backbone: a backbone of TerraTorch; by default Prithvi if it was trained on one of the bands, else a
            ResNet-50.
        batch_size: reduced if there are fewer training images, as TerraTorch drops an incomplete batch.

    Raises:
        OnboardingError: MANIFEST_INVALID, the purpose is neither Segmentation nor Regression or a data source
            has no bands; CHECK_FAILED, a band has no valid training pixel.
    """
    if manifest.purpose not in (Purpose.SEGMENTATION, Purpose.REGRESSION):
        raise OnboardingError(
            "MANIFEST_INVALID",
            f"A TerraTorch configuration exists for Segmentation and Regression, not for {manifest.purpose}.",
        )
    without_bands = [source.modality_tag for source in manifest.data_sources if not source.bands]
    if without_bands or not manifest.data_sources:
        raise OnboardingError(
            "MANIFEST_INVALID",
            f"The bands of {', '.join(without_bands) or 'every data source'} must be known for training.",
        )
    single = len(manifest.data_sources) == 1
    first, steps = step_source(manifest.data_sources[0])
    is_series = single and steps > 1
    # Beside other modalities each step is bands of one stack.
    names = {source.modality_tag: hls_names(source) for source in manifest.data_sources}
    empty = [band.band for band in parameters.bands if not band.pixels]
    if empty and (not is_series or any(not _pixels(same) for same in _by_band(parameters.bands, steps))):
        raise OnboardingError("CHECK_FAILED", f"No training image has a valid pixel in {', '.join(empty)}.")
    if is_series:
        names = {first.modality_tag: hls_names(first)}
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
    data |= (
        _single_modality_data(manifest, parameters, names, root, first, steps)
        if single
        else _multi_modality_data(manifest, parameters, names, root)
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
        "model": _task(parameters, classes, choose_model(backbone, all_names, is_series)),
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-4, "weight_decay": 0.05}},
        "lr_scheduler": {
            "class_path": "ReduceLROnPlateau",
            "init_args": {"monitor": "val/loss", "factor": 0.5, "patience": 5},
        },
    }


def write_terratorch(path: Path, config: Mapping[str, Any]) -> None:
    """Write `terratorch.yaml`.

    Args:
        path: of the YAML file; one that exists is replaced.
        config: of the training, as plain values.
    """
    write_text(path, f"# In this folder: terratorch fit --config {path.name}\n{terratorch_text(config)}")


def terratorch_text(config: Mapping[str, Any]) -> str:
    """Return a training configuration as YAML."""
    # After a JSON round trip, lists that occur twice are two lists: YAML would write an anchor and an alias.
    plain = json.loads(json.dumps(config))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110))


def class_names(manifest: UploadManifest) -> list[str]:
    """Return a name per mask value from 0 on; TerraTorch counts classes, so gaps between ids are classes."""
    names = {category.id: category.name for category in manifest.label_categories}
    return [names.get(value, f"unused {value}") for value in range(max(names) + 1)]


def _split_files(split: pl.DataFrame, root: Path) -> dict[str, str]:
    instead = replacement_splits(set(split["split"]))
    return {
        key: str(root / "split_files" / SPLIT_FILES[instead.get(split_name, split_name)])
        for key, split_name in (("train_split", TRAIN), ("val_split", VALIDATION), ("test_split", TEST))
    }


def _single_modality_data(
    manifest: UploadManifest,
    parameters: TrainingParameters,
    names: dict[str, list[str]],
    root: Path,
    first: DataSource,
    steps: int,
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
        "rgb_indices": rgb_indices(first),
        # From (steps and bands, h, w) to (bands, steps, h, w).
        **({"expand_temporal_dimension": True} if steps > 1 else {}),
        "means": _means(bands) if steps == 1 else _series_means(bands, steps),
        "stds": _stds(bands) if steps == 1 else _series_stds(bands, steps),
    }


def _multi_modality_data(
    manifest: UploadManifest, parameters: TrainingParameters, names: dict[str, list[str]], root: Path
) -> dict[str, Any]:
    tags = list(names)
    images = {tag: str(root / "training_data" / tag) for tag in tags}
    labels = str(root / "labels")
    first_rgb = next(
        (source for source in manifest.data_sources if has_rgb(source)), manifest.data_sources[0]
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


def choose_model(backbone: str | None, names: list[str], is_series: bool = False) -> dict[str, Any]:
    """Return the arguments of a model: backbone, what connects it, decoder.

    Args:
        backbone: None for Prithvi if it was trained on one of the bands, else a ResNet-50.
        names: of all bands, as `hls_names` returns them.
        is_series: whether an image has several steps: the backbone sees each, and its features are averaged.
    """
    name = backbone or (PRITHVI if set(names) & set(PRITHVI_BANDS) else RESNET)
    model: dict[str, Any] = {"backbone": name, "backbone_pretrained": True}
    if is_series:
        model |= {SERIES_KEY: True, "backbone_temporal_pooling": "mean"}
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
"""Layers whose features the decoder uses, a quarter of the depth apart; smaller models have 12 layers."""

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


def _means(bands: tuple[BandStatistics, ...]) -> list[float]:
    return [band.mean for band in bands if band.mean is not None]


def _stds(bands: tuple[BandStatistics, ...]) -> list[float]:
    """Return the deviations to divide by; a constant band is divided by 1."""
    return [band.std or 1.0 for band in bands]


def _series_means(bands: Sequence[BandStatistics], steps: int) -> list[float]:
    """Return the mean of each band over all steps, in which every valid pixel counts."""
    return [
        sum(band.pixels * (band.mean or 0) for band in same) / _pixels(same)
        for same in _by_band(bands, steps)
    ]


def _series_stds(bands: Sequence[BandStatistics], steps: int) -> list[float]:
    """Return the deviation of each band over all steps; a constant band is divided by 1."""
    found = []
    for same, mean in zip(_by_band(bands, steps), _series_means(bands, steps), strict=True):
        squares = sum(band.pixels * ((band.std or 0) ** 2 + ((band.mean or 0) - mean) ** 2) for band in same)
        found.append(math.sqrt(squares / _pixels(same)) or 1.0)
    return found


def _by_band(bands: Sequence[BandStatistics], steps: int) -> list[Sequence[BandStatistics]]:
    count = len(bands) // steps
    return [bands[position::count] for position in range(count)]


def _pixels(bands: Sequence[BandStatistics]) -> int:
    return sum(band.pixels for band in bands)
