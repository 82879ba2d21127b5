"""Rendering the dataset page."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.onboarding.manifest.model import TRAINED, UploadManifest
from factory_pipeline.onboarding.page.charts import band_chart, footprint_map
from factory_pipeline.onboarding.page.jinja_environment import environment
from factory_pipeline.onboarding.page.preview import BUDGET, label_legend, preview
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.onboarding.split_notes import split_notes
from factory_pipeline.redaction import display
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.splits.split_rule import SpatialSplit, SpatialUnit
from factory_pipeline.storage.atomic import write_text


class Status(StrEnum):
    """The state of an upload."""

    PENDING = "Pending"
    ONBOARDING = "Onboarding"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class Download:
    """A file that the page links to."""

    href: str
    """Relative to the page."""
    description: str


@dataclass(frozen=True)
class DatasetPage:
    """The content of the page; what is not known yet is None."""

    manifest: UploadManifest
    status: Status
    version: str
    updated: datetime
    root: Path
    """Folder of the onboarded dataset."""
    items: pl.LazyFrame | None = None
    split: pl.DataFrame | None = None
    parameters: TrainingParameters | None = None
    record: SplitRecord | None = None
    error_code: str | None = None
    reason: str | None = None
    """Why the onboarding failed, in one sentence."""
    downloads: tuple[Download, ...] = ()
    commands: dict[str, str] = field(default_factory=dict)
    """Commands for a terminal that a user may run next, by their purpose."""
    preview_budget: int = BUDGET


def render_page(page: DatasetPage) -> str:
    """Render the page as HTML; the output depends only on `page`."""
    return environment().get_template("page.html").render(_context(page))


def write_page(path: Path, page: DatasetPage) -> None:
    """Write `dataset.html`.

    Args:
        path: of the HTML file; one that exists is replaced.
        page: what is shown.
    """
    write_text(path, render_page(page))


def facts(page: DatasetPage) -> dict[str, Any]:
    """Return what the sections of the page tell: all but the preview."""
    items, split, parameters = page.items, page.split, page.parameters
    counts = _split_counts(split) if split is not None else []
    charts: dict[str, list[Any]] = {}
    if items is not None and split is not None and parameters is not None:
        for band in parameters.bands:
            charts.setdefault(band.modality, []).append((band, band_chart(band)))
        if parameters.label is not None:
            charts["Label"] = [(parameters.label, band_chart(parameters.label))]
    return {
        "page": page,
        "manifest": page.manifest,
        "source_url": display(page.manifest.dataset_url),
        "total": split.height if split is not None else None,
        "counts": counts,
        "notes": split_notes(page.record, split, page.manifest.purpose in TRAINED)
        if page.record is not None and split is not None
        else None,
        "charts": charts,
        "classes": {known.id: known for known in parameters.classes} if parameters is not None else {},
        "map": footprint_map(items, split, _block_m(page.manifest))
        if items is not None and split is not None
        else None,
        "legend": label_legend(page.manifest, parameters) if parameters is not None else None,
    }


def _block_m(manifest: UploadManifest) -> float | None:
    """Return the side of the blocks in metres that are divided; None where the split has none."""
    rule = manifest.splits
    if isinstance(rule, SpatialSplit) and rule.by is SpatialUnit.BLOCK:
        return rule.block_m
    return None


def _context(page: DatasetPage) -> dict[str, Any]:
    shown: dict[str, Any] = {"layers": [], "pairs": []}
    if page.items is not None and page.split is not None and page.parameters is not None:
        shown = preview(
            page.items, page.split, page.manifest, page.parameters, page.root, page.preview_budget
        )
    return facts(page) | {"preview": shown}


def _split_counts(split: pl.DataFrame) -> list[tuple[str, int, float]]:
    """Return name, images and percent of each split."""
    return [
        (name, count := split.filter(pl.col("split") == name).height, 100 * count / max(split.height, 1))
        for name in SPLITS
    ]
