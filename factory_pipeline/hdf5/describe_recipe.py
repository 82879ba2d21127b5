"""A summary of the dataset file of a recipe, for people."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.source_layout import source_layouts
from factory_pipeline.hdf5.fields import DATA
from factory_pipeline.hdf5.opening import open_dataset, open_recipe_dataset, recipe_of, require_schema
from factory_pipeline.hdf5.recipe_fields import LABEL


@dataclass(frozen=True)
class RecipeFileSummary:
    """A summary of a dataset file of a recipe; `str()` formats it in a few lines."""

    path: Path
    name: str
    """Of the recipe."""
    split: str
    samples: int
    file_bytes: int
    bands: dict[str, list[str]]
    """Of each source."""
    shapes: dict[str, list[int]]
    """Of each source: (samples, steps, bands, rows, columns), without steps if there is one."""
    valid_share: dict[str, float]
    """Of each source the share of its pixels with data."""
    labels: dict[str, int]
    """Samples by class; empty for numbers."""
    label_range: tuple[float, float] | None
    """Smallest and largest label; None of classes and without samples."""
    crs: dict[str, int]
    """Samples by CRS."""
    recipe: str
    """Canonical JSON."""
    recipe_hash: str
    software_version: str

    def __str__(self) -> str:
        lines = [
            ("File", f"{self.path} ({self.file_bytes / 1e6:.1f} MB)"),
            ("Dataset", f"{self.name}, {self.split}"),
            ("Samples", f"{self.samples:,}"),
        ]
        for name, shape in self.shapes.items():
            size = " x ".join(map(str, shape[1:]))
            lines.append(
                (name, f"{size}: {' '.join(self.bands[name])}; {self.valid_share[name]:.0%} with data")
            )
        if self.labels:
            lines.append(("Label", ", ".join(f"{label} ({count:,})" for label, count in self.labels.items())))
        if self.label_range:
            lines.append(("Label", f"{self.label_range[0]:g} to {self.label_range[1]:g}"))
        if self.crs:
            lines.append(("CRS", ", ".join(f"{code} ({count:,})" for code, count in self.crs.items())))
        lines += [("Recipe", self.recipe_hash[:12]), ("Version", self.software_version)]
        width = max(len(label) for label, _ in lines) + 2
        return "\n".join(f"{label + ':':<{width}}{value}" for label, value in lines)


def is_recipe_file(path: Path) -> bool:
    """Return whether a dataset file is of a recipe with labels of its own, not of the GEDI dataset.

    Raises:
        DatasetFileError: the file is missing, truncated or no dataset file.
    """
    with open_dataset(path) as file:
        return recipe_of(file) is not None


def describe_recipe_file(path: Path) -> RecipeFileSummary:
    """Summarise the dataset file of a recipe.

    Raises:
        DatasetFileError: the file is missing, truncated or not of a recipe.
    """
    with open_recipe_dataset(path) as (file, recipe):
        require_schema(file, path)
        layouts = source_layouts(recipe)
        labels, label_range = _describe_labels(file, recipe)
        codes, counts = np.unique(file[f"{DATA}/CRS"].asstr()[:, 0], return_counts=True)
        return RecipeFileSummary(
            path=path,
            name=recipe.name,
            split=str(file.attrs["split"]),
            samples=len(file[f"{DATA}/{LABEL}"]),
            file_bytes=path.stat().st_size,
            bands={layout.name: list(layout.bands) for layout in layouts},
            shapes={layout.name: list(file[f"{DATA}/{layout.name}"].shape) for layout in layouts},
            valid_share={layout.name: _mean(file[f"{DATA}/{layout.name}_mask"]) for layout in layouts},
            labels=labels,
            label_range=label_range,
            crs={str(code): int(count) for code, count in zip(codes, counts, strict=True)},
            recipe=str(file.attrs["recipe"]),
            recipe_hash=str(file.attrs["recipe_hash"]),
            software_version=str(file.attrs["software_version"]),
        )


def _describe_labels(
    file: h5py.File, recipe: DatasetRecipe
) -> tuple[dict[str, int], tuple[float, float] | None]:
    """Return the samples by class, and the smallest and largest number; neither of rasters: none is read."""
    target = recipe.labels.target
    if recipe.labels.is_raster or target is None:
        return {}, None
    labels = file[f"{DATA}/{LABEL}"][:]
    if target.classes is not None:
        return {f"{code} {name}": int((labels == code).sum()) for code, name in target.classes.items()}, None
    return {}, (float(labels.min()), float(labels.max())) if len(labels) else None


def _mean(masks: h5py.Dataset) -> float:
    """Return the mean of a dataset, read sample by sample."""
    return float(np.mean([masks[sample].mean() for sample in range(len(masks))])) if len(masks) else 0.0
