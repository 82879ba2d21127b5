"""Dataset pages of made datasets."""

from datetime import UTC, datetime

import polars as pl

from factory_pipeline.onboarding.page.render import DatasetPage, Download, Status
from factory_pipeline.onboarding.products.training_params import TrainingParameters, training_parameters
from factory_pipeline.splits.assign import random_split
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline_tests.onboarding.curated import Curated

UPDATED = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)
SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}


def parameters_of(curated: Curated, split: pl.DataFrame) -> TrainingParameters:
    """The training parameters of a made dataset."""
    manifest = curated.manifest
    return training_parameters(
        curated.items, split, curated.band_names, manifest.purpose, manifest.label_categories, curated.root
    )


def page_of(curated: Curated) -> DatasetPage:
    """The page of a made dataset."""
    split = random_split(curated.items, SHARES, 0)
    return DatasetPage(
        curated.manifest,
        Status.SUCCEEDED,
        "3",
        UPDATED,
        curated.root,
        curated.items.lazy(),
        split,
        parameters_of(curated, split),
        SplitRecord.of(curated.items, split, {}, promises_zero=False),
        downloads=(Download("terratorch.yaml", "Training configuration"),),
        commands={"Fine-tune": "terratorch fit --config terratorch.yaml"},
    )
