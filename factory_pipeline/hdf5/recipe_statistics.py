"""Statistics of the bands of a recipe's dataset file, in stored units."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factory_pipeline.config.source_layout import SourceLayout, source_layouts
from factory_pipeline.hdf5.opening import open_recipe_dataset
from factory_pipeline.hdf5.read import FusedDataset

MOST_SAMPLES = 500
"""Samples that are looked at; of a longer file these are evenly spread."""


@dataclass(frozen=True)
class BandSummary:
    """One band over all dates; the numbers are None where no pixel has data, or of classes and flags."""

    source: str
    band: str
    unit: str
    dtype: str
    data_share: float
    """Pixels with data, 0 to 1."""
    mean: float | None
    std: float | None
    minimum: float | None
    maximum: float | None


def summarize_bands(path: Path) -> list[BandSummary]:
    """Return the statistics of every band, by source.

    Raises:
        DatasetFileError: the file is missing, truncated or not of a recipe.
    """
    with open_recipe_dataset(path) as (_, recipe):
        layouts = source_layouts(recipe)
    return [summary for layout in layouts for summary in _summarize(path, layout)]


def _summarize(path: Path, layout: SourceLayout) -> list[BandSummary]:
    dataset = FusedDataset(path, [layout.name, f"{layout.name}_mask"])
    count = min(len(dataset), MOST_SAMPLES)
    sums = np.zeros((len(layout.bands), 2))
    edges = np.tile([np.inf, -np.inf], (len(layout.bands), 1))
    pixels = valid_pixels = 0
    for row in np.linspace(0, max(len(dataset) - 1, 0), count).round().astype(int).tolist():
        sample = dataset.read_batch([row])
        mask = sample[f"{layout.name}_mask"].reshape(-1, layout.size, layout.size) == 1
        values = sample[layout.name].reshape(len(mask), len(layout.bands), layout.size, layout.size)
        known = np.moveaxis(values, 1, 0)[:, mask].astype(np.float64)
        pixels, valid_pixels = pixels + mask.size, valid_pixels + known.shape[1]
        if known.shape[1]:
            sums += np.stack([known.sum(axis=1), (known**2).sum(axis=1)], axis=1)
            edges[:, 0] = np.minimum(edges[:, 0], known.min(axis=1))
            edges[:, 1] = np.maximum(edges[:, 1], known.max(axis=1))
    categories = {name for name, asset in layout.assets.items() if asset.is_categorical}
    found = []
    for position, (band, unit) in enumerate(zip(layout.bands, layout.units, strict=True)):
        numbers: tuple[float | None, ...] = (None,) * 4
        if valid_pixels and band not in categories:
            mean, square = (sums[position] / valid_pixels).tolist()
            numbers = (mean, max(square - mean**2, 0) ** 0.5, *edges[position].tolist())
        share = valid_pixels / max(pixels, 1)
        found.append(BandSummary(layout.name, band, unit, layout.dtype.name, share, *numbers))
    return found
