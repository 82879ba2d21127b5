"""Maps of splits: footprints coloured by split with their blocks as a picture, and as letters."""

from pathlib import Path

import numpy as np
import polars as pl

from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.imagery.plot_style import plot_style
from factory_pipeline.splits.names import SPLITS, TEST, TRAIN, VALIDATION
from factory_pipeline.splits.split_blocks import split_blocks
from factory_pipeline.storage.atomic import atomic_write

COLORS = {"train": "#3b6fb6", "test": "#d1495b", "validation": "#edae49"}
_LEAST_SHARE = 0.004
"""Side of a footprint on the map, as a part of the map's side, at least: smaller ones would not be seen."""


LETTERS = {TRAIN: "#", TEST: "o", VALIDATION: "+"}
SEVERAL = "*"
"""Stands for a place with items of several splits."""
_COLUMNS, _ROWS = 72, 24
"""Letters of a text map at most; a letter is about twice as high as wide."""


def draw_text_map(items: pl.DataFrame, split: pl.DataFrame) -> list[str]:
    """Draw a map of the splits in letters, north above.

    Args:
        items: `stem` and the columns of `imagery.footprints`.
        split: `stem`, `split`.

    Returns:
        Lines; the last says what the letters mean. Empty where no item is georeferenced.
    """
    corners = footprints(items)
    sides = items.select("stem").join(split, on="stem", how="left", maintain_order="left")["split"]
    chosen = np.isfinite(corners[:, 0, 0]) & sides.is_not_null().to_numpy()
    if not chosen.any():
        return []
    centres = corners[chosen].mean(axis=1)
    shrink = max(float(np.cos(np.radians(centres[:, 1].mean()))), 0.05)
    west, north = centres[:, 0].min(), centres[:, 1].max()
    wide = max(float(np.ptp(centres[:, 0])) * shrink, 1e-9)
    high = max(float(np.ptp(centres[:, 1])), 1e-9)
    step = max(wide / (_COLUMNS - 1), high / 2 / (_ROWS - 1))
    cells = pl.DataFrame(
        {
            "row": np.round((north - centres[:, 1]) / (2 * step)).astype(np.int64),
            "column": np.round((centres[:, 0] - west) * shrink / step).astype(np.int64),
            "split": sides.filter(pl.Series(chosen)),
        }
    )
    found = cells.group_by("row", "column").agg(pl.col("split").unique())
    lowest, rightmost = found.select("row", "column").max().row(0)
    rows = [[" "] * (rightmost + 1) for _ in range(lowest + 1)]
    for row, column, there in found.iter_rows():
        rows[row][column] = LETTERS[there[0]] if len(there) == 1 else SEVERAL
    named = ", ".join(f"{letter} {name}" for name, letter in LETTERS.items())
    return [*("".join(row).rstrip() for row in rows), f"{named}, {SEVERAL} several"]


def write_split_map(
    path: Path, items: pl.DataFrame, split: pl.DataFrame, title: str, block_m: float | None = None
) -> int:
    """Write a map of the splits as PNG.

    Args:
        path: of the picture.
        items: `stem` and the columns of `imagery.footprints`.
        split: `stem`, `split`.
        title: stands above the map.
        block_m: side in metres of the blocks that were divided, whose outlines are drawn; None without any.

    Returns:
        Items on the map: those that are georeferenced; without one nothing is written.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

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
    with plot_style():
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
        if block_m is not None:
            for west, south, east, north, name in split_blocks(corners, sides, block_m).iter_rows():
                outline = Rectangle((west, south), east - west, north - south)
                outline.set(facecolor="none", edgecolor=COLORS[name], linewidth=0.8)
                axes.add_patch(outline)
        axes.autoscale_view()
        axes.set_aspect(1 / max(float(np.cos(np.radians(shown[..., 1].mean()))), 0.05))
        axes.set(xlabel="longitude [degrees]", ylabel="latitude [degrees]", title=title)
        axes.legend(loc="upper right")
        with atomic_write(path) as temporary:
            # Without the version of matplotlib the same map has the same bytes.
            figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    return int(placed.sum())
