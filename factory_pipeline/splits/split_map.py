"""A map of splits: footprints coloured by split."""

from pathlib import Path

import numpy as np
import polars as pl

from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.atomic import atomic_write

COLORS = {"train": "#3b6fb6", "test": "#d1495b", "validation": "#edae49"}
_LEAST_SHARE = 0.004
"""Side of a footprint on the map, as a part of the map's side, at least: smaller ones would not be seen."""


def write_split_map(path: Path, items: pl.DataFrame, split: pl.DataFrame, title: str) -> int:
    """Write a map of the splits as PNG.

    Args:
        path: of the picture.
        items: `stem` and the columns of `imagery.footprints`.
        split: `stem`, `split`.
        title: stands above the map.

    Returns:
        Items on the map: those that are georeferenced; without one nothing is written.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    corners = footprints(items)
    sides = items.select("stem").join(split, on="stem", how="left", maintain_order="left")["split"]
    placed = np.isfinite(corners[:, 0, 0])
    if not placed.any():
        return 0
    shown = corners[placed]
    low, high = shown.min(axis=(0, 1)), shown.max(axis=(0, 1))
    least = _LEAST_SHARE * max(float((high - low).max()), 1e-6)
    centres = shown.mean(axis=1, keepdims=True)
    sizes = (shown.max(axis=1) - shown.min(axis=1)).max(axis=1)
    shown = centres + (shown - centres) * np.maximum(least / np.maximum(sizes, 1e-12), 1)[:, None, None]
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    of_placed = sides.filter(pl.Series(placed))
    for name in SPLITS:
        chosen = (of_placed == name).fill_null(False).to_numpy()
        axes.add_collection(
            PolyCollection(
                shown[chosen],
                facecolors=COLORS[name],
                edgecolors="none",
                alpha=0.6,
                label=f"{name} ({int(chosen.sum()):,})",
            )
        )
    axes.autoscale_view()
    axes.set_aspect(1 / max(float(np.cos(np.radians(shown[..., 1].mean()))), 0.05))
    axes.set(xlabel="longitude [degrees]", ylabel="latitude [degrees]", title=title)
    axes.legend(loc="upper right")
    with atomic_write(path) as temporary:
        # Without the version of matplotlib the same map has the same bytes.
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    return int(placed.sum())
