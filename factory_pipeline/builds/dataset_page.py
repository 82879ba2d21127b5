"""The page of a recipe's dataset, `dataset.html`: one file that needs no network."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import yaml

from factory_pipeline.builds.dataset_plan import StoredDatasetPlan
from factory_pipeline.builds.dataset_summary import DatasetBuildSummary
from factory_pipeline.builds.recipe_split_record import windows_of_dataset
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.config.source_layout import SourceLayout, source_layouts
from factory_pipeline.hdf5.recipe_preview import recipe_sheet
from factory_pipeline.hdf5.recipe_statistics import MOST_SAMPLES, summarize_bands
from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.onboarding.page.charts import corner_map
from factory_pipeline.onboarding.page.jinja_environment import environment
from factory_pipeline.onboarding.split_notes import SplitNotes
from factory_pipeline.splits.read_record import read_record
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.parquet import BATCH_ROWS

EXAMPLES = 3
"""Labels of the ledger that are shown of each reason."""
SHEET_BYTES = 1_500_000


@dataclass(frozen=True)
class FunnelRow:
    """One line of the funnel."""

    name: str
    count: int
    share: float
    """Of the labels that came in, 0 to 1."""
    is_loss: bool


def write_dataset_page(settings: DatasetSettings) -> None:
    """Write the page of a build whose files are fused; it depends on these alone."""
    write_text(settings.files.page, environment().get_template("recipe.html").render(_context(settings)))


def _context(settings: DatasetSettings) -> dict[str, Any]:
    recipe, files = settings.recipe, settings.files
    summary, plan = DatasetBuildSummary.load(files.summary), StoredDatasetPlan(files.batch_plan)
    windows = windows_of_dataset(recipe, files)
    total = max(windows.height, 1)
    counts = [(split, count, 100 * count / total) for split, count in summary.samples.items()]
    shown = next(split for split, count in summary.samples.items() if count)
    block = recipe.splits.block_m if recipe.splits.by == "blocks" or recipe.splits.blocks else None
    return {
        "recipe": recipe,
        "summary": summary,
        "total": windows.height,
        "counts": counts,
        "notes": SplitNotes.of_record(read_record(files.splits)),
        "funnel": _funnel(summary, plan),
        "rejects": _examples(files.rejects),
        "sources": [_describe(recipe, layout) for layout in source_layouts(recipe)],
        "classes": (recipe.labels.target.classes or {}) if recipe.labels.target is not None else {},
        "bands": summarize_bands(files.fused(shown)),
        "statistics_of": (shown, min(summary.samples[shown], MOST_SAMPLES)),
        "sheet": base64.b64encode(recipe_sheet(files.fused(shown), max_bytes=SHEET_BYTES)).decode("ascii"),
        "map": corner_map(footprints(windows), windows.select("split", original_name="stem"), block),
        "document": yaml.safe_dump(_as_written(recipe), sort_keys=False, allow_unicode=True),
    }


def _funnel(summary: DatasetBuildSummary, plan: StoredDatasetPlan) -> list[FunnelRow]:
    """Return where labels went; a grid over polygons has more windows than labels."""
    accepted, lost = sum(summary.samples.values()), sum(summary.dropped.values())
    first = FunnelRow("Labels in", summary.labels, 1.0, False)
    total = max(accepted + lost, 1)
    rows = [first] if summary.labels == accepted + lost else [first, FunnelRow("Windows", total, 1.0, False)]
    rows += [FunnelRow(reason, count, count / total, True) for reason, count in summary.dropped.items()]
    return [*rows, FunnelRow(f"Samples, in {len(plan.keys)} batches", accepted, accepted / total, False)]


def _examples(ledger: Path) -> list[dict[str, Any]]:
    """Return `stage`, `reason`, `count` and some `examples` with `id` and `detail` of each reason."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with pq.ParquetFile(ledger) as file:
        for rows in file.iter_batches(BATCH_ROWS):
            groups = pl.DataFrame(rows).group_by("stage", "reason", maintain_order=True)
            for group in groups.agg(
                count=pl.len(), examples=pl.struct("id", "detail").head(EXAMPLES)
            ).iter_rows(named=True):
                known = found.setdefault(
                    (group["stage"], group["reason"]), {**group, "count": 0, "examples": []}
                )
                known["count"] += group["count"]
                known["examples"] += group["examples"][: EXAMPLES - len(known["examples"])]
    return list(found.values())


def _describe(recipe: DatasetRecipe, layout: SourceLayout) -> dict[str, Any]:
    """Return what the page says of a source."""
    source = recipe.sources[layout.name]
    return {
        "name": layout.name,
        "collection": layout.collection,
        "steps": layout.count_of_steps,
        "size": layout.size,
        "pixel_size": layout.pixel_size,
        "composite": source.composite,
        "required": source.required,
        "bands": [
            {"name": band, "unit": unit, "scale": scale, "offset": offset}
            for band, unit, scale, offset in zip(
                layout.bands, layout.units, layout.scales, layout.offsets, strict=True
            )
        ],
    }


def _as_written(recipe: DatasetRecipe) -> dict[str, Any]:
    """Return the recipe without defaults, and without the folder of its labels."""
    document = recipe.model_dump(mode="json", exclude_defaults=True, exclude={"collections"})
    if "path" in document["labels"]:
        document["labels"]["path"] = str(document["labels"]["path"]).rsplit("/", 1)[-1]
    return document
