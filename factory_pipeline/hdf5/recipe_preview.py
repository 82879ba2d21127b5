"""A sheet of samples of a recipe's dataset file: a row per sample, every source with its dates, the label."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.source_layout import SourceLayout, source_layouts
from factory_pipeline.hdf5.fields import PROVENANCE
from factory_pipeline.hdf5.opening import open_recipe_dataset
from factory_pipeline.hdf5.palette import AGBD_STOPS, Picture, ramp, rgb
from factory_pipeline.hdf5.preview import INK, LINE, PAPER, QUIET, encode_png, load_font
from factory_pipeline.hdf5.read import LABEL, FusedDataset, Sample
from factory_pipeline.hdf5.recipe_fields import label_nodata
from factory_pipeline.imagery.class_colours import class_colour

MARGIN, GAP, CAPTION, HEADER, TEXT_WIDTH = 20, 8, 18, 52, 190
CHIP = 96
"""Side of a picture on the sheet in pixels, at least."""
MOST_STEPS = 12
"""Pictures of a series; of a longer one these are evenly spread."""
NO_DATA = "#e8ebee"
ENTRY, SQUARE = 20, 12
"""Height of a line of the legend, and side of its coloured squares."""
NOTHING_HERE = "no data"
_NO_TIME = np.iinfo(np.int64).min
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Column:
    """The pictures of one source, or of the label."""

    title: str
    pictures: list[list[tuple[Picture, str]]]
    """For each sample its pictures with their captions."""
    legend: tuple[tuple[str, str], ...] = ()
    """Colour and name of every class in the pictures; empty where they show numbers."""


def recipe_sheet(path: Path, samples: int = 8, max_bytes: int | None = None) -> bytes:
    """Draw samples of a dataset file, evenly spread over it, as a PNG with a row for each.

    A source is drawn in true colour if it has red, green and blue, else by its first band: classes in colours
    of their own, numbers in grey, stretched over all dates of the sample. Pixels without data are pale. Below
    the samples a legend names the classes that they show.

    Args:
        path: a batch file or a fused file of a recipe.
        samples: rows of the sheet, where the file contains as many.
        max_bytes: if the PNG would be larger, it has fewer rows, down to one.

    Raises:
        DatasetFileError: the file is missing, truncated or not of a recipe.
    """
    with open_recipe_dataset(path) as (file, recipe):
        ids = [text.decode() for text in file[f"{PROVENANCE}/Id"][:, 0].tolist()]
    layouts = source_layouts(recipe)
    fields = [f"{layout.name}{part}" for layout in layouts for part in ("", "_mask", "_times")]
    dataset = FusedDataset(path, fields)
    rows = min(samples, len(dataset))
    while True:
        shown = np.linspace(0, max(len(dataset) - 1, 0), rows).round().astype(int).tolist()
        png = encode_png(_draw_sheet(recipe, [ids[row] for row in shown], dataset.read_batch(shown)))
        if max_bytes is None or len(png) <= max_bytes or rows <= 1:
            return png
        rows = min(rows - 1, int(rows * max_bytes / len(png)) or 1)


def _draw_sheet(recipe: DatasetRecipe, names: Sequence[str], batch: Sample) -> Image.Image:
    columns = [_draw_source(layout, batch, len(names)) for layout in source_layouts(recipe)]
    if recipe.labels.is_raster:
        columns.append(_draw_labels(recipe, batch[LABEL]))
    widths = [
        max((len(row) for row in column.pictures), default=1) * (CHIP + GAP) + GAP for column in columns
    ]
    width = 2 * MARGIN + TEXT_WIDTH + sum(widths)
    below = HEADER + len(names) * (CHIP + CAPTION + GAP)
    legend = _place_legend(columns, width)
    image = Image.new("RGB", (width, below + (legend[-1][1] + ENTRY if legend else 0) + MARGIN), PAPER)
    draw = ImageDraw.Draw(image)
    for x, y, colour, text in legend:
        if colour is not None:
            draw.rectangle((x, below + y + 3, x + SQUARE, below + y + 3 + SQUARE), fill=colour, outline=LINE)
        draw.text((x if colour is None else x + SQUARE + 6, below + y), text, INK, load_font(13))
    draw.text((MARGIN, HEADER - 24), "Sample", INK, load_font(14))
    for number, name in enumerate(names):
        top = HEADER + number * (CHIP + CAPTION + GAP)
        draw.text((MARGIN, top + 2), _shorten(name), INK, load_font(13))
        if not recipe.labels.is_raster:
            draw.text(
                (MARGIN, top + 22), _shorten(_label_text(recipe, batch[LABEL][number])), INK, load_font(13)
            )
    left = MARGIN + TEXT_WIDTH
    for column, column_width in zip(columns, widths, strict=True):
        draw.text((left, HEADER - 24), column.title, INK, load_font(14))
        for number, pictures in enumerate(column.pictures):
            top = HEADER + number * (CHIP + CAPTION + GAP)
            for step, (picture, caption) in enumerate(pictures):
                x = left + step * (CHIP + GAP)
                chip = Image.fromarray(picture).resize((CHIP, CHIP), Image.Resampling.NEAREST)
                image.paste(chip, (x, top))
                draw.rectangle((x - 1, top - 1, x + CHIP, top + CHIP), outline=LINE)
                draw.text((x, top + CHIP + 3), caption, QUIET, load_font(11))
        left += column_width
    return image


def _place_legend(columns: Sequence[_Column], width: int) -> list[tuple[int, int, str | None, str]]:
    """Return left and top (from below the samples), colour and text of what the legend shows, in lines.

    A column begins a line with its title, which has no colour.
    """
    placed: list[tuple[int, int, str | None, str]] = []
    y = GAP - ENTRY
    for column in columns:
        if not column.legend:
            continue
        y += ENTRY
        placed.append((MARGIN, y, None, _shorten(column.title)))
        x = MARGIN + TEXT_WIDTH
        for colour, text in column.legend:
            needed = SQUARE + 6 + int(load_font(13).getlength(text)) + MARGIN
            if x + needed > width and x > MARGIN + TEXT_WIDTH:
                x, y = MARGIN + TEXT_WIDTH, y + ENTRY
            placed.append((x, y, colour, text))
            x += needed
    return placed


def _shorten(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:19]}…"


def _label_text(recipe: DatasetRecipe, value: NDArray[Any]) -> str:
    target = recipe.labels.target
    if target is None:
        return ""
    if value.size > 1:
        return f"{target.column}: {value.size} values"
    if target.classes is not None:
        return target.classes.get(int(value[0]), "no label")
    return f"{target.column} {value[0]:.4g} {target.unit}".rstrip()


def _draw_source(layout: SourceLayout, batch: Sample, count: int) -> _Column:
    steps = layout.count_of_steps
    chosen = np.linspace(0, steps - 1, min(steps, MOST_STEPS)).round().astype(int).tolist()
    values = batch[layout.name].reshape(count, steps, len(layout.bands), layout.size, layout.size)
    masks = batch[f"{layout.name}_mask"].reshape(count, steps, layout.size, layout.size).astype(np.bool_)
    times = batch[f"{layout.name}_times"]
    bands = layout.true_colour or (0,)
    asset = next(iter(layout.assets.values()))
    classes = asset.classes if layout.true_colour is None else None
    pictures = []
    for row in range(count):
        if classes is not None:
            drawn = [_by_class(values[row, step, 0], masks[row, step], list(classes)) for step in chosen]
        else:
            drawn = _stretch(values[row][:, list(bands)], masks[row], chosen)
        captions = [_date(times[row, step]) if layout.collection.time != "none" else "" for step in chosen]
        pictures.append(list(zip(drawn, captions, strict=True)))
    title = layout.name if steps == 1 else f"{layout.name}, {steps} dates"
    shown = values[:, chosen, 0], masks[:, chosen]
    return _Column(title, pictures, () if classes is None else _legend(classes, *shown))


def _draw_labels(recipe: DatasetRecipe, labels: NDArray[Any]) -> _Column:
    target, nothing = recipe.labels.target, label_nodata(recipe)
    title = "Label" if target is None else target.column.capitalize()
    if math.isnan(nothing):
        known = labels[np.isfinite(labels)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        stops = tuple((low + (high - low) * at / AGBD_STOPS[-1][0], colour) for at, colour in AGBD_STOPS)
        pictures = [_fill(ramp(np.nan_to_num(one[0]), stops), np.isfinite(one[0])) for one in labels]
        return _Column(f"{title}, {low:.3g} to {high:.3g}", [[(picture, "")] for picture in pictures])
    classes = (target.classes or {}) if target is not None else {1: "labelled"}
    drawn = [_by_class(one[0], one[0] != nothing, list(classes)) for one in labels]
    return _Column(title, [[(picture, "")] for picture in drawn], _legend(classes, labels, labels != nothing))


def _legend(
    classes: Mapping[int, str], values: NDArray[Any], valid: NDArray[np.bool_]
) -> tuple[tuple[str, str], ...]:
    """Colour and name of every class that occurs, and of pixels without data where there are some."""
    there = set(np.unique(values[valid]).tolist())
    named = [
        (class_colour(number), name) for number, (code, name) in enumerate(classes.items()) if code in there
    ]
    return (*named, *(() if valid.all() else ((NO_DATA, NOTHING_HERE),)))


def _by_class(values: NDArray[Any], valid: NDArray[np.bool_], codes: Sequence[int]) -> Picture:
    picture = np.zeros((*values.shape, 3), np.uint8)
    for number, code in enumerate(codes):
        picture[values == code] = rgb(class_colour(number))
    return _fill(picture, valid)


def _stretch(values: NDArray[Any], valid: NDArray[np.bool_], chosen: Sequence[int]) -> list[Picture]:
    """Stretch (steps, bands, rows, columns) from the 2nd to the 98th percentile of all valid pixels."""
    known = np.moveaxis(values, 1, 0)[:, valid].astype(np.float64)
    low, high = np.percentile(known, (2, 98)) if known.size else (0.0, 1.0)
    drawn = []
    for step in chosen:
        scaled = (np.nan_to_num(values[step].astype(np.float64)) - low) / max(high - low, 1e-9)
        picture = np.moveaxis((scaled.clip(0, 1) * 255).round().astype(np.uint8), 0, -1)
        drawn.append(
            _fill(np.ascontiguousarray(np.broadcast_to(picture, (*valid.shape[1:], 3))), valid[step])
        )
    return drawn


def _fill(picture: Picture, valid: NDArray[np.bool_]) -> Picture:
    picture[~valid] = rgb(NO_DATA)
    return picture


def _date(moment: int) -> str:
    return "no scene" if moment == _NO_TIME else f"{_EPOCH + timedelta(microseconds=int(moment)):%Y-%m-%d}"
