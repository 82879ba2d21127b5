"""The record of the splits of a recipe's dataset: what was promised, and what its files have."""

import polars as pl

from factory_pipeline.builds.fused_windows import fused_windows
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.raster_sources import SourceGrid
from factory_pipeline.hdf5.schema import PROVENANCE
from factory_pipeline.splits.groups import Together
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.storage.build_files import BuildFiles

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
    ids, size = f"{PROVENANCE}/Id", recipe.window.size
    return pl.concat(
        [
            fused_windows(files.fused(split), split, ids, size)
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
    windows, rule = windows_of_dataset(recipe, files), recipe.splits
    return SplitRecord.of(
        windows.drop("split"),
        windows.select("stem", "split"),
        rule.model_dump(mode="json", exclude_none=True),
        # Windows on the grid of a source are first estimates when they are divided.
        promises_zero=not isinstance(recipe.window.crs, SourceGrid),
        together=Together(),
        percentages=rule.shares if rule.by in ("blocks", "random") else None,
        what="windows",
        instead=INSTEAD,
    )
