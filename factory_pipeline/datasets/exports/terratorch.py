"""TerraTorch: the layout of an onboarded dataset, with a configuration for `terratorch fit`.

All paths in the configuration are relative, so it must be run in the folder of the export.

Every band is standardised as a number, which is meaningless for class codes: bands and modalities of codes,
such as Sentinel-2's SCL, are not exported. A time series is one image, its steps one after the other, as
TerraTorch expands them; beside other modalities each of its steps is bands of one stack.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from factory_pipeline.datasets.exports.media import check_raster, image_of, write_image, write_raster
from factory_pipeline.datasets.exports.rasterize import index_mask, unlabelled_value
from factory_pipeline.datasets.exports.segmentation import class_colours, class_names
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent, all_samples
from factory_pipeline.errors import ExportError, OnboardingError
from factory_pipeline.imagery.class_codes import holds_codes
from factory_pipeline.onboarding.file_names import safe_stem, safe_suffix
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.manifest.sections import DEFAULT_MODALITY
from factory_pipeline.onboarding.products.terratorch import terratorch_config, write_terratorch
from factory_pipeline.onboarding.products.training_params import training_parameters
from factory_pipeline.splits.assign import SPLIT_FILES, write_split_files
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.yaml_document import read_yaml

IMAGES, LABELS, SPLIT_FOLDER = "training_data", "labels", "split_files"
CONFIG, PARAMETERS, INDEX = "terratorch.yaml", "training_params.json", "index.csv"
LABEL_SUFFIX = "_label.tif"
GEOTIFF = (".tif", ".tiff")
INDEX_COLUMNS = ("stem", "name", "split", "origin", "original_name")
"""Columns of `index.csv`: stem of the files, name of the sample, its split, the sample that it is a copy of,
and the original name of its image.
"""


class TaskKind(Enum):
    """The machine learning task of a version."""

    REGRESSION = "Regression"
    """Its labels are measured values."""
    MASKS = "Segmentation of masks"
    """Its labels are masks; the loss ignores pixels of no class."""
    SHAPES = "Segmentation of shapes"
    """Its labels are shapes; pixels outside of them are the background."""


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: images, labels, split files, `training_params.json`, `terratorch.yaml`, `index.csv`.

    Raises:
        ExportError: no training image, an image without label in a regression, or images that differ in
            bands or dtype.
    """
    kind = kind_of(version)
    rows = []
    for sample in all_samples(version):
        stem = safe_stem(sample.name)
        for tag in inputs_of(version):
            _write_tiff(folder / image_path(stem, tag), sample, tag, version)
        write_raster(folder / label_path(stem), label_of(sample, version, kind), sample)
        rows.append((stem, sample.name, sample.split, sample.origin, sample.original_name or sample.name))
    index = pl.DataFrame(rows, schema=dict.fromkeys(INDEX_COLUMNS, pl.String), orient="row")
    index.write_csv(folder / INDEX)
    split = index.select("stem", "split")
    write_split_files(folder / SPLIT_FOLDER, split)
    try:
        manifest = as_manifest(version, kind)
        parameters = training_parameters(
            _list_files(index, version),
            split,
            {modality_tag(tag): bands for tag, bands in inputs_of(version).items()},
            manifest.purpose,
            manifest.label_categories,
            folder,
        )
        config = terratorch_config(manifest, parameters, split, Path())
    except OnboardingError as error:
        raise ExportError(f"{version.dataset} can't be used by TerraTorch: {error}") from error
    parameters.write(folder / PARAMETERS)
    write_terratorch(folder / CONFIG, config)


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: as TerraTorch reads, by the paths and patterns of the configuration."""
    kind = kind_of(version)
    data = read_yaml(folder / CONFIG, CONFIG)["data"]["init_args"]
    listed: dict[str, list[str]] = {split: [] for split in SPLITS}
    for sample in all_samples(version):
        stem = safe_stem(sample.name)
        listed[sample.split].append(stem)
        for tag in inputs_of(version):
            check_raster(folder / image_path(stem, tag), input_of(sample, tag, version), sample)
        check_raster(folder / label_path(stem), label_of(sample, version, kind), sample)
    for split, file in SPLIT_FILES.items():
        if (folder / SPLIT_FOLDER / file).read_text(encoding="utf-8").split() != sorted(listed[split]):
            raise ExportError(f"{file} differs from the stems of the version when it is read back.")
    every = sum(map(len, listed.values()))
    labels = list((folder / data["train_label_data_root"]).glob(data["label_grep"]))
    if len(labels) != every:
        raise ExportError(f"TerraTorch would find {len(labels)} labels for {every} samples.")


def is_media(path: PurePosixPath) -> bool:
    """Return whether a file is in `training_data/`."""
    return path.parts[0] == IMAGES


def kind_of(version: VersionContent) -> TaskKind:
    """Return the task of a version, derived from its first annotated sample."""
    for sample in all_samples(version):
        if sample.target is not None:
            return TaskKind.REGRESSION
        if sample.mask is not None:
            # A model needs two classes, so with one label all else is the other.
            return TaskKind.MASKS if len(version.labels) > 1 else TaskKind.SHAPES
        if sample.shapes:
            return TaskKind.SHAPES
    return TaskKind.SHAPES


def inputs_of(version: VersionContent) -> Mapping[str, tuple[str, ...]]:
    """Return the input bands of a model, by modality: measured ones; all if there are only codes."""
    measured = {
        tag: tuple(name for name in bands if not holds_codes(tag, name))
        for tag, bands in version.modalities.items()
    }
    return {tag: bands for tag, bands in measured.items() if bands} or version.modalities


def input_of(sample: Sample, tag: str, version: VersionContent) -> SampleRaster:
    """Return the image of a modality, with only the input bands of a model.

    Args:
        sample: of the version.
        tag: modality of the image.
        version: determines the input bands and their order.

    Raises:
        ExportError: the sample has no such image, or lacks a band of it.
    """
    raster, wanted = image_of(sample, tag), inputs_of(version)[tag]
    if wanted == version.modalities[tag]:
        return raster
    if missing := [name for name in wanted if name not in raster.bands]:
        raise ExportError(f"The {tag} image of {sample.name} has no band {missing[0]}, which others have.")
    indices = [raster.bands.index(name) for name in wanted]
    rgb = raster.rgb and tuple(indices.index(index) for index in raster.rgb if index in indices)
    return replace(
        raster,
        values=raster.values[indices],
        bands=wanted,
        rgb=(rgb[0], rgb[1], rgb[2]) if rgb and len(rgb) == 3 else None,
    )


def label_of(sample: Sample, version: VersionContent, kind: TaskKind) -> SampleRaster:
    """Return the label raster of a sample.

    Args:
        sample: of the version.
        version: its `values` are the pixel values of the classes.
        kind: of the task.

    Returns:
        (1, height, width).

    Raises:
        ExportError: a sample of a regression has no measured values.
    """
    if kind is not TaskKind.REGRESSION:
        index = index_mask(sample, version)
        return index if kind is TaskKind.MASKS else SampleRaster(index.values, index.bands)
    if sample.target is None:
        raise ExportError(
            f"{sample.name} has no measured values, which a regression needs of every image; exclude it by"
            " a query, or export as RAW."
        )
    return sample.target


def as_manifest(version: VersionContent, kind: TaskKind) -> UploadManifest:
    """Return the manifest of an upload that describes the version.

    Args:
        version: has at least one sample.
        kind: of the task.

    Raises:
        OnboardingError: MANIFEST_INVALID, two bands have one name, or there are too few classes.
    """
    regression = kind is TaskKind.REGRESSION
    first, inputs = next(all_samples(version)), inputs_of(version)
    document: dict[str, Any] = {
        "purpose": "Regression" if regression else "Segmentation",
        "dataset_url": version.dataset,
        "training_data_suffixes": [image_suffix(tag) for tag in inputs],
        "label_suffix": LABEL_SUFFIX,
        "dataset_name": version.dataset,
        "data_sources": [
            {
                "modality_tag": modality_tag(tag),
                "file_suffix": image_suffix(tag),
                "bands": _bands(bands, input_of(first, tag, version).rgb),
            }
            for tag, bands in inputs.items()
        ],
        "label_categories": [] if regression else _categories(version, kind),
    }
    return UploadManifest.parse(document, version.dataset)


def image_suffix(tag: str) -> str:
    """Return the suffix of the images of a modality; no two modalities have the same."""
    return safe_suffix(f"_{tag}.tif")


def modality_tag(tag: str) -> str:
    """Return the name of a modality in folders and for TerraTorch."""
    return image_suffix(tag).removesuffix(".tif").strip("_") or DEFAULT_MODALITY


def image_path(stem: str, tag: str) -> str:
    """Return the path of an image, relative to the folder of the export.

    Args:
        stem: of the sample's files.
        tag: modality of the image.
    """
    return f"{IMAGES}/{modality_tag(tag)}/{stem}{image_suffix(tag)}"


def label_path(stem: str) -> str:
    """Return the path of a label, relative to the folder of the export."""
    return f"{LABELS}/{stem}{LABEL_SUFFIX}"


def _write_tiff(path: Path, sample: Sample, tag: str, version: VersionContent) -> None:
    """Write an image as GeoTIFF, as all images of a modality must have the same suffix."""
    is_whole = inputs_of(version)[tag] == version.modalities[tag]
    if is_whole and tag in sample.files and sample.files[tag].suffix.lower() in GEOTIFF:
        written = path.with_name(write_image(sample, tag, path.parent, path.stem))
        written.rename(path)
    else:
        write_raster(path, input_of(sample, tag, version), sample)


def _bands(names: tuple[str, ...], rgb: tuple[int, int, int] | None) -> list[dict[str, Any]]:
    channels = dict(zip(rgb or (), "RGB", strict=False))
    return [{"band_name": name, "RGB_band": channels.get(index)} for index, name in enumerate(names)]


def _categories(version: VersionContent, kind: TaskKind) -> list[dict[str, Any]]:
    names, colours = class_names(version), class_colours(version)
    ignored = unlabelled_value(version.values) if kind is TaskKind.MASKS else None
    return [
        {"id": value, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*colours[value])}
        for value, name in sorted(names.items())
        if value != ignored
    ]


def _list_files(index: pl.DataFrame, version: VersionContent) -> pl.DataFrame:
    """Return the files of each sample, for `training_parameters`."""
    images = [
        [{"modality_tag": modality_tag(tag), "path": image_path(stem, tag)} for tag in inputs_of(version)]
        for stem in index["stem"]
    ]
    return index.select(
        "stem",
        pl.Series("images", images, pl.List(pl.Struct({"modality_tag": pl.String, "path": pl.String}))),
        pl.Series("label", [label_path(stem) for stem in index["stem"]], pl.String),
    )
