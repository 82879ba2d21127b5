"""Checks of the content of a recipe's dataset file, each of which is an asset check of its own."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.source_layout import SourceLayout, sample_bytes, source_layouts
from factory_pipeline.hdf5.fields import DATA, PROVENANCE
from factory_pipeline.hdf5.opening import open_recipe_dataset
from factory_pipeline.hdf5.read import LABEL, FusedDataset, Sample
from factory_pipeline.hdf5.recipe_fields import NO_LABEL, label_nodata
from factory_pipeline.hdf5.sample_checks import is_outside_middle
from factory_pipeline.hdf5.verify import Finding, check_schema

BLOCK_BYTES = 64 * 2**20
"""Of samples that are looked at together: bounds the memory."""
NAMED_AT_MOST = 5
"""Samples that a finding names; it counts the others."""
Flags = NDArray[np.bool_]
COMPLAINTS: Mapping[str, str] = {
    "label_in_window": "a label outside the middle pixel of the window",
    "values": "pixels that count as data and hold none, are not finite, or are of no class of their band",
    "labels": "a label that is not finite or of no class of the recipe",
}
"""By the name of a check: what a sample has that fails it."""


def check_recipe_file(path: Path) -> list[Finding]:
    """Return every check of a dataset file of a recipe; only that of the schema, where it fails.

    Raises:
        DatasetFileError: the file is missing, truncated, damaged or not of a recipe.
    """
    schema = check_schema(path)
    if not schema.passed:
        return [schema]
    with open_recipe_dataset(path) as (file, recipe):
        ids = file[f"{PROVENANCE}/Id"].asstr()[:, 0] if len(file[f"{PROVENANCE}/Id"]) else np.empty(0, object)
        outside = _is_outside(file, recipe, len(ids))
    flags = [_check_block(recipe, block) for block in _blocks(path, recipe)]
    wrong = {
        "label_in_window": outside,
        **{
            name: np.concatenate([each[name] for each in flags]) if flags else np.zeros(0, np.bool_)
            for name in ("values", "labels")
        },
    }
    return [schema, _check_unique(ids), *(_make_finding(name, found, ids) for name, found in wrong.items())]


def _check_unique(ids: NDArray[Any]) -> Finding:
    known, counts = np.unique(ids, return_counts=True)
    twice = known[counts > 1]
    detail = f"All {len(ids)} ids differ."
    if len(twice):
        detail = f"{len(twice)} ids are there more than once: {_list(twice)}."
    return Finding("unique_ids", not len(twice), detail)


def _is_outside(file: h5py.File, recipe: DatasetRecipe, length: int) -> Flags:
    """Return whether the window has its label elsewhere than in its middle; only points have a place."""
    if recipe.labels.kind not in ("points", "gedi") or not length:
        return np.zeros(length, np.bool_)
    latitude, longitude = file[f"{PROVENANCE}/Lat Lon"][:].T
    codes = file[f"{DATA}/CRS"].asstr()[:, 0]
    return is_outside_middle(
        latitude, longitude, file[f"{DATA}/Transforms"][:], codes, recipe.window.size // 2
    )


def _blocks(path: Path, recipe: DatasetRecipe) -> Iterator[Sample]:
    dataset = FusedDataset(path)
    size = max(1, BLOCK_BYTES // sample_bytes(recipe))
    for start in range(0, len(dataset), size):
        yield dataset.read_batch(range(start, min(start + size, len(dataset))))


def _check_block(recipe: DatasetRecipe, block: Sample) -> dict[str, Flags]:
    wrong = np.zeros(len(block[LABEL]), np.bool_)
    for layout in source_layouts(recipe):
        wrong |= _has_wrong_values(layout, block[layout.name], block[f"{layout.name}_mask"])
    return {"values": wrong, "labels": _has_wrong_label(recipe, block[LABEL])}


def _has_wrong_values(layout: SourceLayout, values: NDArray[Any], mask: NDArray[Any]) -> Flags:
    wrong = ~np.isin(mask, (0, 1))
    there = mask == 1
    for position, band in enumerate(layout.bands):
        pixels, asset = values[..., position, :, :], layout.assets.get(band)
        if pixels.dtype.kind == "f":
            wrong |= there & ~np.isfinite(pixels)
        elif asset is not None and asset.nodata is not None:
            wrong |= there & (pixels == layout.nodata[position])
        if asset is not None and asset.classes is not None:
            wrong |= there & ~np.isin(pixels, list(asset.classes))
    return np.asarray(wrong.reshape(len(values), -1).any(axis=1))


def _has_wrong_label(recipe: DatasetRecipe, labels: NDArray[Any]) -> Flags:
    target, flat = recipe.labels.target, labels.reshape(len(labels), -1)
    if target is not None and target.classes is None:
        # Pixels without a label are NaN; a point always has one.
        wrong = np.isinf(flat) if recipe.labels.is_raster else ~np.isfinite(flat)
    else:
        known = list((target.classes or {}) if target is not None else [1] * recipe.labels.is_raster)
        nothing = label_nodata(recipe) if recipe.labels.is_raster else NO_LABEL
        # Without a target a point has no label.
        allowed = [*known, *([nothing] if recipe.labels.is_raster or target is None else [])]
        wrong = ~np.isin(flat, allowed)
    return np.asarray(wrong.any(axis=1))


def _make_finding(name: str, wrong: Flags, ids: NDArray[Any]) -> Finding:
    if not wrong.any():
        return Finding(name, True, f"All {len(wrong)} samples pass.")
    named = ids[wrong]
    return Finding(
        name, False, f"{len(named)} of {len(wrong)} samples have {COMPLAINTS[name]}: {_list(named)}."
    )


def _list(ids: NDArray[Any]) -> str:
    named = ", ".join(map(str, ids[:NAMED_AT_MOST]))
    return named if len(ids) <= NAMED_AT_MOST else f"{named} and {len(ids) - NAMED_AT_MOST} more"
