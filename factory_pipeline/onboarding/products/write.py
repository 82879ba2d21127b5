"""Writing the files of a finished dataset: items, training configuration, Croissant and the page."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.onboarding.checks.prescan import PrescanReport, prefill
from factory_pipeline.onboarding.file_names import safe_suffix
from factory_pipeline.onboarding.manifest.model import TRAINED, UploadManifest
from factory_pipeline.onboarding.page.render import DatasetPage, Download, Status, write_page
from factory_pipeline.onboarding.products.croissant import croissant, write_croissant
from factory_pipeline.onboarding.products.stac_items import write_items
from factory_pipeline.onboarding.products.terratorch import terratorch_config, write_terratorch
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.splits.assign import SPLIT_FILES
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.storage.upload_files import DatasetFiles


@dataclass(frozen=True)
class Products:
    """The inputs of the products."""

    files: DatasetFiles
    """The folder that they are written to."""
    key: str
    manifest: UploadManifest
    """As `products_manifest` returns it."""
    dated: datetime
    index: pl.LazyFrame
    split: pl.DataFrame
    parameters: TrainingParameters
    record: SplitRecord


def products_manifest(given: UploadManifest, report: PrescanReport) -> UploadManifest:
    """Return the manifest for the products: all bands filled in, and the suffixes of the dataset's files.

    Args:
        given: the user's manifest.
        report: of the pre-scan.
    """
    manifest = prefill(report, given)
    sources = [
        source.model_copy(update={"file_suffix": safe_suffix(source.file_suffix or "")})
        for source in manifest.data_sources
    ]
    return manifest.model_copy(
        update={
            "training_data_suffixes": tuple(map(safe_suffix, manifest.training_data_suffixes)),
            "label_suffix": safe_suffix(manifest.label_suffix),
            "data_sources": tuple(sources),
        }
    )


def write_products(made: Products) -> None:
    """Write `items.parquet`, `terratorch.yaml` if the purpose has one, `croissant.json`, `dataset.html`.

    Raises:
        OnboardingError: as `terratorch_config`.
    """
    name, _, version = made.key.partition("@")
    files, manifest = made.files, made.manifest
    write_items(files.items, made.index, made.split, name, manifest.description)
    if manifest.purpose in TRAINED:
        config = terratorch_config(manifest, made.parameters, made.split, Path())
        write_terratorch(files.terratorch, config)
    write_croissant(
        files.croissant,
        croissant(files.root, manifest, version, made.dated.date(), tuple(_list_files(files))),
    )
    write_page(files.page, _page(made, version))


def _list_files(files: DatasetFiles) -> list[str]:
    paths = [
        files.training_params,
        files.terratorch,
        *(files.split_files / name for name in SPLIT_FILES.values()),
    ]
    return [path.relative_to(files.root).as_posix() for path in paths if path.exists()]


def _page(made: Products, version: str) -> DatasetPage:
    descriptions = {
        made.files.terratorch: "configuration for terratorch fit",
        made.files.training_params: "statistics of the training images",
        made.files.items: "images and labels as STAC items (GeoParquet)",
        made.files.splits: "how the splits were made, and what was searched for leaks",
        made.files.croissant: "machine-readable description of the dataset (Croissant)",
    }
    commands: dict[str, Any] = {"Fine-tune a model": f"factory finetune {made.key}"}
    if made.manifest.purpose not in TRAINED:
        commands = {}
    return DatasetPage(
        manifest=made.manifest,
        status=Status.SUCCEEDED,
        version=version,
        updated=made.dated,
        root=made.files.root,
        items=made.index,
        split=made.split,
        parameters=made.parameters,
        record=made.record,
        downloads=tuple(
            Download(path.relative_to(made.files.root).as_posix(), text)
            for path, text in descriptions.items()
            if path.exists()
        ),
        commands={
            **commands,
            "Download the logs": f"factory upload logs {made.key}",
            "Delete this version": f"factory upload delete {made.key}",
        },
    )
