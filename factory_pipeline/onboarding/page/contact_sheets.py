"""Small pictures of a dataset for use outside of the page: a sheet of pairs, a sheet of histograms."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from factory_pipeline.imagery.band_statistics import BandStatistics
from factory_pipeline.imagery.plot_style import plot_style
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.page.layers import compositions
from factory_pipeline.onboarding.page.preview import LABEL, evenly_spread, pictures_of
from factory_pipeline.onboarding.products.training_params import TrainingParameters

SIDE = 96
GAP = 4
COLUMNS = 4
MOST_HISTOGRAMS = 16


def pair_sheet(
    index: pl.LazyFrame,
    manifest: UploadManifest,
    parameters: TrainingParameters,
    root: Path,
    pairs: int = 6,
    max_bytes: int = 70_000,
) -> bytes:
    """Draw some pairs as a PNG: a column each, the first composition of each modality above, the label below.

    Args:
        index: in file_names.INDEX_SCHEMA; evenly spread pairs are drawn.
        manifest: with the bands of all sources filled in.
        parameters: of the training images; they define how bands are stretched.
        root: folder that the paths start from.
        pairs: largest number of pairs.
        max_bytes: size limit of the PNG; a larger one is drawn with fewer pairs, down to one.
    """
    while True:
        sheet = _sheet_of(evenly_spread(index, "original_name", pairs), manifest, parameters, root)
        if len(sheet) <= max_bytes or pairs == 1:
            return sheet
        pairs -= 1


def _sheet_of(
    shown: pl.DataFrame, manifest: UploadManifest, parameters: TrainingParameters, root: Path
) -> bytes:
    chosen = compositions(manifest.data_sources, parameters)
    first = [
        next(composition for composition in chosen if composition.modality == modality)
        for modality in dict.fromkeys(composition.modality for composition in chosen)
    ]
    columns = [
        _column(pictures_of(row, first, manifest, parameters, root, SIDE))
        for row in shown.iter_rows(named=True)
    ]
    rows = max(map(len, columns))
    sheet = Image.new("RGB", (len(columns) * (SIDE + GAP) - GAP, rows * (SIDE + GAP) - GAP), "white")
    for across, column in enumerate(columns):
        for down, picture in enumerate(column):
            sheet.paste(picture, (across * (SIDE + GAP), down * (SIDE + GAP)), picture)
    stored = BytesIO()
    sheet.save(stored, "PNG", optimize=True)
    return stored.getvalue()


def histogram_sheet(parameters: TrainingParameters) -> bytes:
    """Draw a PNG with a histogram per band, and one of the label of a regression."""
    from matplotlib.figure import Figure  # takes half a second, and most commands draw nothing

    label = () if parameters.label is None else (parameters.label,)
    bands = [band for band in (*label, *parameters.bands) if band.histogram is not None][:MOST_HISTOGRAMS]
    rows = max(-(-len(bands) // COLUMNS), 1)
    height = 1.5 * rows
    stored = BytesIO()
    with plot_style():
        figure = Figure(figsize=(2.2 * COLUMNS, height), dpi=80)
        # In inches, as titles and ticks are; a layout that Matplotlib measures takes as long as the drawing.
        figure.subplots_adjust(0.02, 0.25 / height, 0.98, 1 - 0.25 / height, wspace=0.15, hspace=0.55 / 0.95)
        for position, band in enumerate(bands, 1):
            _draw_histogram(figure.add_subplot(rows, COLUMNS, position), band)
        figure.savefig(stored, format="png", metadata={"Software": None})
    with Image.open(stored) as drawn:
        drawn.convert("RGB").quantize(64).save(few := BytesIO(), "PNG")
    return few.getvalue()


def _column(pictures: Mapping[str, bytes]) -> list[Image.Image]:
    ordered = sorted(pictures, key=lambda layer: layer == LABEL)
    return [
        Image.open(BytesIO(pictures[layer])).convert("RGBA").resize((SIDE, SIDE), Image.Resampling.NEAREST)
        for layer in ordered
    ]


def _draw_histogram(axes: Any, band: BandStatistics) -> None:
    assert band.histogram is not None
    counts = band.histogram.counts
    edges = np.linspace(band.histogram.low, band.histogram.high, len(counts) + 1)
    axes.stairs(counts, edges, fill=True, color="#2a7ab9")
    axes.set_title(f"{band.modality} {band.band}" if band.modality != LABEL else "label", fontsize=8)
    axes.tick_params(labelsize=6)
    axes.set_yticks([])
