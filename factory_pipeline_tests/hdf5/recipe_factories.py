"""Fused files of recipes with random content, made without an archive."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.source_layout import source_layouts
from factory_pipeline.hdf5.recipe_fields import (
    RecipeSamples,
    SourceSamples,
    extra_type,
    label_nodata,
    label_type,
    recipe_fields,
)
from factory_pipeline.hdf5.write import write_fields

DAY_US = 86_400 * 10**6
START_US = 1_622_505_600 * 10**6
"""2021-06-01, in microseconds since 1970."""
LEFT, TOP, UTM = 500_000.0, 5_300_000.0, 32633


def recipe_of(text: str) -> DatasetRecipe:
    """A recipe of the test."""
    return DatasetRecipe.parse(yaml.safe_load(text), "of the test")


def made_sources(recipe: DatasetRecipe, count: int, seed: int) -> dict[str, SourceSamples]:
    """Random pixels, all of them data; one step per month."""
    rng = np.random.default_rng(seed)
    found = {}
    for layout in source_layouts(recipe):
        steps, ground = layout.count_of_steps, (layout.size, layout.size)
        shape = (count, steps, len(layout.bands), *ground)
        times = START_US + 30 * DAY_US * np.arange(steps) + np.arange(count)[:, None] * DAY_US
        found[layout.name] = SourceSamples(
            rng.integers(1, 250, shape).astype(layout.dtype),
            np.ones((count, steps, *ground), np.bool_),
            times,
            [[f"{layout.name}-{row}-{step}" for step in range(steps)] for row in range(count)],
        )
    return found


def write_fused(
    path: Path,
    recipe: DatasetRecipe,
    ids: Sequence[str],
    values: Sequence[float | None] | None = None,
    extra: pl.DataFrame | None = None,
    split: str = "train",
    seed: int = 0,
) -> RecipeSamples:
    """Write a fused file; windows are side by side, and labels of pixels random classes or numbers."""
    count, size, pixel = len(ids), recipe.window.size, recipe.window.pixel_size
    lefts = [LEFT + (100 * seed + row) * size * pixel for row in range(count)]
    table = pl.DataFrame(
        {
            "id": pl.Series(ids, dtype=pl.String),
            "longitude": pl.Series([15.0 + row / 1000 for row in range(count)], dtype=pl.Float64),
            "latitude": pl.Series([47.8] * count, dtype=pl.Float64),
            "value": pl.Series(values or [None] * count, dtype=pl.Float64),
            "crs": [f"EPSG:{UTM}"] * count,
            "transform": pl.Series(
                [[pixel, 0, left, 0, -pixel, TOP, 0, 0, 1] for left in lefts], dtype=pl.Array(pl.Float64, 9)
            ),
            "batch": [f"{split}-00000-abcdef01"] * count,
        }
    )
    carried = pl.DataFrame() if extra is None else extra
    table = table.hstack(carried.select(pl.all().name.prefix("extra:")).get_columns())
    types = {name: extra_type(dtype) for name, dtype in carried.schema.items()}
    labels = _label_rasters(recipe, count, seed) if recipe.labels.is_raster else None
    samples = RecipeSamples(made_sources(recipe, count, seed), table, labels)
    write_fields(path, recipe_fields(recipe, types), samples, recipe, split)
    return samples


def _label_rasters(recipe: DatasetRecipe, count: int, seed: int) -> np.ndarray:
    rng, size = np.random.default_rng(seed + 1000), recipe.window.size
    target = recipe.labels.target
    if target is not None and target.classes is None:
        drawn = rng.random((count, 1, size, size)) * 30
    else:
        drawn = rng.choice(list(target.classes or {}) if target else [1], (count, 1, size, size))
    drawn = np.where(rng.random(drawn.shape) < 0.2, label_nodata(recipe), drawn)
    return drawn.astype(label_type(recipe))


def label_times(ids: Sequence[str], day: str = "2021-06-12") -> pl.DataFrame:
    """The whole of a day, for each label."""
    start = pl.Series([f"{day} 00:00:00"] * len(ids)).str.to_datetime(time_unit="us", time_zone="UTC")
    return pl.DataFrame({"id": ids, "start": start, "end": start.dt.offset_by("1d").dt.offset_by("-1us")})
