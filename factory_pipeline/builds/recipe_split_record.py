"""The record of the splits of a recipe's dataset: what was promised, and what its files have."""

import polars as pl

from factory_pipeline.builds.fused_windows import fused_windows, iterate_windows
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.raster_sources import SourceGrid
from factory_pipeline.hdf5.fields import PROVENANCE
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.splits.window_leaks import search_windows
from factory_pipeline.storage.build_files import BuildFiles

_IDS = f"{PROVENANCE}/Id"
INSTEAD = (
    "Windows on the grid of a source are moved after they were divided; `splits.buffer_m` of two pixels keeps"
    " them apart."
)


def windows_of_dataset(recipe: DatasetRecipe, files: BuildFiles) -> pl.DataFrame:
    """Return the samples of the fused files as `leak_report` takes them, with their `split`.

    Args:
        recipe: its splits are read, and its window's size in pixels.
        files: of the build; a split without fused file has no samples.
    """
    return pl.concat(
        [
            fused_windows(files.fused(split), split, _IDS, recipe.window.size)
            for split in recipe.splits.parts
            if files.fused(split).exists()
        ]
    )


def record_splits(recipe: DatasetRecipe, files: BuildFiles) -> SplitRecord:
    """Search the samples of the fused files for leaks between the splits.

    Args:
        recipe: of the build.
        files: of the build; its fused files exist.
    """
    rule, size = recipe.splits, recipe.window.size
    windows = (
        part
        for split in rule.parts
        if files.fused(split).exists()
        for part in iterate_windows(files.fused(split), split, _IDS, size)
    )
    return SplitRecord.of_windows(
        search_windows(windows, files.root),
        rule.model_dump(mode="json", exclude_none=True),
        # Windows on the grid of a source are first estimates when they are divided.
        promises_zero=not isinstance(recipe.window.crs, SourceGrid),
        percentages=rule.shares if rule.by in ("blocks", "random") else None,
        instead=INSTEAD,
    )
