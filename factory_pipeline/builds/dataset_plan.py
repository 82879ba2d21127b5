"""The batch plan of a recipe's dataset: which labels are extracted together, under which key."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs

from factory_pipeline.builds.gedi.plan_batches import morton_cells
from factory_pipeline.builds.labels.areas import content_digest, raster_files, read_grid, read_rasters
from factory_pipeline.builds.labels.gedi_shots import read_shots
from factory_pipeline.builds.labels.label_table import EXTRA, LabelTable, RejectLedger
from factory_pipeline.builds.labels.label_windows import windows_around
from factory_pipeline.builds.labels.points import read_points
from factory_pipeline.builds.labels.polygons import (
    overlaps_of,
    read_polygons,
    save_polygons,
    windows_of_polygons,
)
from factory_pipeline.builds.labels.split_labels import split_labels
from factory_pipeline.builds.plan_keys import ROWS_OF_GROUP, PlanKeys, StoredBatches
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.config.gedi_labels import GediLabels
from factory_pipeline.config.label_sources import GridLabels, PolygonLabels, RasterLabels
from factory_pipeline.config.source_layout import sample_bytes
from factory_pipeline.errors import LostFootprintsError
from factory_pipeline.hdf5.recipe_fields import extra_type
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.parquet import ParquetBatches

_PROFILES = cs.array().arr.to_list().cast(pl.List(pl.String)).list.join(" ")
"""Several values per label as text, as CSV has no such type."""
BATCH_BYTES = 192 * 2**20
"""Of the samples of a batch: what a batch holds in memory."""


@dataclass(frozen=True)
class DatasetPlan(PlanKeys):
    """All batches of a build, in memory."""

    table: pl.DataFrame
    """A row per label: LABEL_SCHEMA, WINDOW_COLUMNS, columns that begin with EXTRA, `split`, `batch`; ordered
    by split and batch."""
    splits: tuple[str, ...]
    labels: int
    """Labels of the file."""
    remarks: tuple[str, ...] = ()
    """What a person should know of how the labels were read."""

    def batch(self, key: str) -> pl.DataFrame:
        """Return the labels of one batch, in their order."""
        return self.table.filter(pl.col("batch") == key)

    def save(self, path: Path) -> None:
        """Write the plan to one Parquet file, atomically."""
        about = {
            "splits": json.dumps(self.splits),
            "labels": str(self.labels),
            "remarks": json.dumps(self.remarks),
        }
        with atomic_write(path) as temporary:
            self.table.write_parquet(
                temporary, compression="zstd", row_group_size=ROWS_OF_GROUP, metadata=about
            )


class StoredDatasetPlan(StoredBatches):
    """A plan that `DatasetPlan.save` wrote, some batches of it in memory."""

    @property
    def splits(self) -> tuple[str, ...]:
        """As of the plan that was saved."""
        return tuple(json.loads(self._about["splits"]))

    @property
    def labels(self) -> int:
        """As of the plan that was saved."""
        return int(self._about["labels"])

    @property
    def remarks(self) -> tuple[str, ...]:
        """As of the plan that was saved."""
        return tuple(json.loads(self._about["remarks"]))

    @cached_property
    def extra(self) -> dict[str, np.dtype[np.generic]]:
        """Columns that are carried along, with their types in the dataset file."""
        return {
            name.removeprefix(EXTRA): extra_type(dtype)
            for name, dtype in self.scan().collect_schema().items()
            if name.startswith(EXTRA)
        }

    @cached_property
    def _about(self) -> Mapping[str, str]:
        return pl.read_parquet_metadata(self._path)


def read_labels(recipe: DatasetRecipe, ledger: RejectLedger) -> LabelTable:
    """Read the labels of a recipe, of whatever kind.

    Args:
        recipe: of the dataset.
        ledger: gets the labels that are left out.

    Raises:
        RecipeError: the file or a column can't be used.
        GranuleError: a granule of GEDI is missing or can't be used.
    """
    labels = recipe.labels
    if isinstance(labels, GediLabels):
        return read_shots(labels, ledger)
    if isinstance(labels, PolygonLabels):
        return read_polygons(labels, ledger)
    if isinstance(labels, RasterLabels):
        return read_rasters(labels, recipe.window, ledger)
    if isinstance(labels, GridLabels):
        return read_grid(labels, recipe.window)
    return read_points(labels, ledger)


def windows_of(
    labels: LabelTable, recipe: DatasetRecipe, ledger: RejectLedger
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the windows of labels with their splits, and what a person should know.

    Args:
        labels: that were read.
        recipe: with window and splits.
        ledger: gets the windows that are in no split.

    Raises:
        RecipeError: the labels can't be split so.
        LostFootprintsError: no label is left.
    """
    if labels.table.is_empty():
        raise LostFootprintsError(_describe_no_labels(labels))
    remarks, shown = labels.remarks, labels.table
    if isinstance(recipe.labels, PolygonLabels):
        remarks += overlaps_of(labels)
        shown = windows_of_polygons(labels, recipe.labels, recipe.window)
    windows, outside = split_labels(windows_around(shown, recipe.window), recipe)
    ledger.append(outside)
    return windows, remarks


def _digest_outlines(settings: DatasetSettings, found: LabelTable) -> str:
    """Return the digest of the outlines or rasters that decide, beside the rows of labels, what a batch has.

    Empty for other labels. Polygons are written for extraction.
    """
    labels = settings.recipe.labels
    if isinstance(labels, PolygonLabels):
        save_polygons(found, settings.files.polygons)
        return content_digest([settings.files.polygons])
    return content_digest(raster_files(labels)) if isinstance(labels, RasterLabels) else ""


def plan_dataset(settings: DatasetSettings, catalog_digest: str) -> DatasetPlan:
    """Read the labels, assign splits, plan the batches; write the plan and the ledger of what is left out.

    A key such as `train-00017-1f3a5c7e` ends in a digest of the batch's labels, of what the recipe says about
    extraction, and of the catalog: a batch whose key is the same is not extracted again.

    Args:
        settings: of the build.
        catalog_digest: names the catalog by its content.

    Raises:
        RecipeError: the labels can't be used.
        GranuleError: a granule of GEDI is missing or can't be used.
        LostFootprintsError: no label is left.
    """
    recipe, files = settings.recipe, settings.files
    with atomic_write(files.stage_rejects("labels")) as temporary, ParquetBatches(temporary) as file:
        ledger = RejectLedger(file)
        labels = read_labels(recipe, ledger)
        windows, remarks = windows_of(labels, recipe, ledger)
    what = f"{recipe.extraction_digest()}{catalog_digest}{_digest_outlines(settings, labels)}"
    splits = tuple(recipe.splits.parts)
    parts = [
        _batches(windows.filter(pl.col("split") == split), split, batch_size(recipe), what)
        for split in splits
    ]
    plan = DatasetPlan(pl.concat(parts), splits, labels.read, remarks)
    plan.save(files.batch_plan)
    for path in sorted(files.batches.glob("[!.]*.h5")):
        if path.stem not in plan.sizes:
            path.unlink()
    return plan


def batch_size(recipe: DatasetRecipe) -> int:
    """Return how many samples are extracted together: as the recipe says, but no more than BATCH_BYTES."""
    return max(1, min(recipe.batch_size, BATCH_BYTES // sample_bytes(recipe)))


def _batches(windows: pl.DataFrame, split: str, size: int, what: str) -> pl.DataFrame:
    """Return batches of labels that are near in space, then in time."""
    cells = pl.Series("cell", morton_cells(windows["latitude"].to_numpy(), windows["longitude"].to_numpy()))
    ordered = windows.with_columns(cells).sort("cell", "epsg", "top", "left", "start", "id").drop("cell")
    batches = [ordered.clear().with_columns(batch=pl.lit(""))]
    for number, members in enumerate(ordered.iter_slices(size)):
        content = hashlib.sha256(what.encode())
        content.update(members.with_columns(_PROFILES).write_csv().encode())
        key = f"{split}-{number:05d}-{content.hexdigest()[:8]}"
        batches.append(members.with_columns(batch=pl.lit(key)))
    return pl.concat(batches)


def _describe_no_labels(labels: LabelTable) -> str:
    counts = Counter(labels.dropped).most_common()
    named = ", ".join(f"{count:,} by {reason}" for reason, count in counts)
    return f"None of the {labels.read:,} labels can be used{f': dropped were {named}' if named else ''}."
