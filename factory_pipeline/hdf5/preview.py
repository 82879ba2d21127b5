"""A sheet of chips: what is in a dataset file, at a glance."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.fields import DATA
from factory_pipeline.hdf5.opening import fields_of, open_samples, read_values
from factory_pipeline.hdf5.palette import (
    AGBD_STOPS,
    SCL_COLOURS,
    SLOPE_STOPS,
    TERRAIN_STOPS,
    WORLDCOVER_COLOURS,
    Picture,
    Stops,
    classes,
    label_over,
    ramp,
    terrain,
    true_colour,
)
from factory_pipeline.hdf5.read import LABEL, FileSummary, Sample, describe, shot_time
from factory_pipeline.hdf5.schema import LABEL_NODATA, SCL_CLASSES, WORLDCOVER_CLASSES

FIELDS = (
    "Sentinel-2 L2A",
    "WorldCover",
    "CopDEM",
    "AGBD Raster",
    "AGBD Standard Error",
    "GEDI Shot Number",
    "GEDI Delta Time",
    "GEDI Lat Lon",
    "Transforms",
)
TRUE_COLOUR = ("B04", "B03", "B02")
INK, GREEN, QUIET, PAPER, LINE = "#1d2733", "#116149", "#5b6773", "#ffffff", "#dfe4e8"
LINES = ((2, 15, INK), (24, 15, GREEN), (50, 12, QUIET), (69, 12, QUIET), (88, 12, QUIET))
"""Position of each line about a footprint below the top of its row, its size and its colour."""
MARGIN, GAP, TEXT_WIDTH, CAPTION, HEADER, ENTRY = 24, 14, 200, 30, 84, 20
CHIP = 128
"""Smallest side of a chip on the sheet, in pixels of the sheet."""


@dataclass(frozen=True)
class _Chip:
    """One cell of the sheet."""

    picture: Picture
    caption: str


@dataclass(frozen=True)
class _Row:
    """One sample of the sheet."""

    lines: tuple[str, ...]
    chips: tuple[_Chip, ...]


def chip_sheet(path: Path, samples: int = 8, max_bytes: int | None = None) -> bytes:
    """Draw samples of a dataset file, evenly spread over it, as a PNG with a row for each.

    The columns are true colour, scene classes, land cover, altitude, slope and AGBD; the square marks the 4x4
    pixels at the footprint. The same file gives the same bytes.

    Args:
        path: a batch file or a fused file.
        samples: rows of the sheet, where the file contains as many.
        max_bytes: if the PNG would be larger, it has fewer rows, down to one; its colours stay true.

    Raises:
        DatasetFileError: the file is missing, truncated or no dataset file.
    """
    summary = describe(path)
    rows = min(samples, summary.samples)
    allowed = math.inf if max_bytes is None else max_bytes
    while True:
        shown = np.linspace(0, summary.samples - 1, rows).round().astype(int).tolist()
        png = encode_png(_sheet(summary, _read_samples(path, shown)))
        if len(png) <= allowed or rows <= 1:
            return png
        rows = min(rows - 1, int(rows * allowed / len(png)) or 1)


def _read_samples(path: Path, shown: Sequence[int]) -> Sample:
    """Return a few samples of a file, of which no other one is looked up."""
    with open_samples(path) as file:
        known = {field.name: field for field in fields_of(file) if field.group == DATA}
        chosen = {name: known[name] for name in FIELDS} | {LABEL: known["AGBD Values"]}
        try:
            return {
                key: np.concatenate(
                    [
                        np.empty((0, *field.shape), field.dtype),
                        *(read_values(file, field, sample, sample + 1) for sample in shown),
                    ]
                )
                for key, field in chosen.items()
            }
        except OSError as error:
            raise DatasetFileError(f"{path} can't be read: {error}.") from error


def encode_png(image: Image.Image) -> bytes:
    """Return the bytes of a picture as PNG."""
    buffer = io.BytesIO()
    # The default compression: the highest takes five times as long for 2 % less.
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _sheet(summary: FileSummary, batch: Sample) -> Image.Image:
    bands = [summary.bands.index(band) for band in _shown_bands(summary.bands)]
    rows = [_row(batch, sample, bands) for sample in range(len(batch[LABEL]))]
    window = batch["Sentinel-2 L2A"].shape[-1]
    # Whole factors keep pixels square; a window that is larger than a chip is thinned out.
    side = window * math.ceil(CHIP / window) if window <= CHIP else CHIP
    titles = [
        "True colour"
        if _shown_bands(summary.bands) == TRUE_COLOUR
        else " ".join(_shown_bands(summary.bands)),
        "Scene classes",
        "WorldCover",
        "Altitude",
        "Slope",
        "AGBD",
    ]
    legend = _legend_entries(batch)
    width = 2 * MARGIN + TEXT_WIDTH + len(titles) * (side + GAP) - GAP
    height = HEADER + len(rows) * (side + CAPTION) + MARGIN + max(4, *map(len, legend)) * ENTRY + MARGIN
    image = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(image)
    _draw_header(draw, summary, titles, len(rows), side, width)
    for number, row in enumerate(rows):
        _draw_row(image, draw, row, HEADER + number * (side + CAPTION), side)
    _draw_legend(image, draw, legend, HEADER + len(rows) * (side + CAPTION) + 12, side, width)
    return image


def _shown_bands(bands: Sequence[str]) -> tuple[str, ...]:
    """Return true colour if the dataset has it, else its first bands, one of them as grey."""
    if set(TRUE_COLOUR) <= set(bands):
        return TRUE_COLOUR
    return tuple(bands[1:4]) if len(bands) > 3 else (bands[1],) * 3


def _row(batch: Sample, sample: int, bands: Sequence[int]) -> _Row:
    sentinel2 = batch["Sentinel-2 L2A"][sample]
    land_cover = batch["WorldCover"][sample, 0]
    altitude, slope = batch["CopDEM"][sample]
    label = batch["AGBD Raster"][sample, 0]
    agbd, error = float(batch[LABEL][sample, 0]), float(batch["AGBD Standard Error"][sample, 0])
    latitude, longitude = batch["GEDI Lat Lon"][sample].tolist()
    time = shot_time(float(batch["GEDI Delta Time"][sample, 0]))
    half = slope.shape[0] // 2
    colour = true_colour(sentinel2[list(bands)])
    return _Row(
        lines=(
            str(batch["GEDI Shot Number"][sample, 0]),
            f"{agbd:.1f} ± {error:.1f} Mg/ha",
            f"{time:%Y-%m-%d %H:%M} UTC",
            f"slope {slope[half - 2 : half + 2, half - 2 : half + 2].max():.1f} % at the footprint",
            f"{abs(latitude):.4f}° {'NS'[latitude < 0]}, {abs(longitude):.4f}° {'EW'[longitude < 0]}",
        ),
        chips=(
            _Chip(colour, f"reflectance to {np.percentile(sentinel2[list(bands)], 98) / 1e4:.2f}"),
            _Chip(
                classes(sentinel2[0], SCL_COLOURS),
                _most_common(sentinel2[0], {code: _to_words(name) for code, name in enumerate(SCL_CLASSES)}),
            ),
            _Chip(classes(land_cover, WORLDCOVER_COLOURS), _most_common(land_cover, WORLDCOVER_CLASSES)),
            _Chip(
                terrain(altitude, float(batch["Transforms"][sample, 0])),
                f"{altitude.min():.0f} to {altitude.max():.0f} m",
            ),
            _Chip(ramp(slope, SLOPE_STOPS), f"{slope.min():.0f} to {slope.max():.0f} %"),
            _Chip(label_over(colour, label, LABEL_NODATA), f"{agbd:.1f} Mg/ha"),
        ),
    )


def _to_words(name: str) -> str:
    """Return a class name as a word: `CLOUD_SHADOWS` is `Cloud shadows`."""
    return name.replace("_", " ").capitalize()


def _most_common(values: NDArray[np.generic], names: dict[int, str]) -> str:
    codes, counts = np.unique(values, return_counts=True)
    first = int(counts.argmax())
    name = names.get(int(codes[first]), f"class {codes[first]}")
    share = f"{counts[first] / values.size:.0%}"
    return f"{name if len(name) <= 17 else name[:15].rstrip() + '…'} {share}"


def _draw_header(
    draw: ImageDraw.ImageDraw,
    summary: FileSummary,
    titles: Sequence[str],
    shown: int,
    side: int,
    width: int,
) -> None:
    draw.text((MARGIN, 20), summary.path.name, INK, load_font(19))
    about = f"{summary.split}  ·  {shown} of {summary.samples:,} samples  ·  recipe {summary.recipe_hash[:8]}"
    draw.text((width - MARGIN, 32), about, QUIET, load_font(13), anchor="rm")
    for column, title in enumerate(titles):
        draw.text((_left_edge(column, side), HEADER - 24), title, INK, load_font(14))
    draw.text((MARGIN, HEADER - 24), "Footprint", INK, load_font(14))


def _draw_row(image: Image.Image, draw: ImageDraw.ImageDraw, row: _Row, top: int, side: int) -> None:
    for line, (offset, size, colour) in zip(row.lines, LINES, strict=True):
        draw.text((MARGIN, top + offset), line, colour, load_font(size))
    for column, chip in enumerate(row.chips):
        left = _left_edge(column, side)
        image.paste(Image.fromarray(chip.picture).resize((side, side), Image.Resampling.NEAREST), (left, top))
        draw.rectangle((left - 1, top - 1, left + side, top + side), outline=LINE)
        around = round(2 * side / len(chip.picture))
        first, last = side // 2 - around, side // 2 + around
        if column < len(row.chips) - 1:
            square = (left + first - 1, top + first - 1, left + last, top + last)
            draw.rectangle((square[0] - 1, square[1] - 1, square[2] + 1, square[3] + 1), outline=INK)
            draw.rectangle(square, outline=PAPER)
        draw.text((left, top + side + 5), chip.caption, QUIET, load_font(12))


Legend = list[tuple[str, str]]
"""Colours and their meaning."""


def _legend_entries(batch: Sample) -> tuple[Legend, Legend]:
    """Return the classes that the sheet shows: of scenes, of land cover."""
    scenes = np.unique(batch["Sentinel-2 L2A"][:, 0]).tolist()
    covers = np.unique(batch["WorldCover"]).tolist()
    return (
        [(SCL_COLOURS[code], _to_words(SCL_CLASSES[code])) for code in scenes if code in SCL_COLOURS],
        [
            (
                WORLDCOVER_COLOURS[code],
                WORLDCOVER_CLASSES.get(code, "No data").removeprefix("Permanent ").capitalize(),
            )
            for code in covers
            if code in WORLDCOVER_COLOURS
        ],
    )


def _draw_legend(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    legend: tuple[Legend, Legend],
    top: int,
    side: int,
    width: int,
) -> None:
    draw.line((MARGIN, top - 8, width - MARGIN, top - 8), LINE)
    for column, entries in zip((1, 2), legend, strict=True):
        for number, (colour, meaning) in enumerate(entries):
            left, upper = _left_edge(column, side), top + 4 + number * ENTRY
            draw.rectangle((left, upper, left + 12, upper + 12), colour, LINE)
            draw.text((left + 19, upper - 1), meaning, INK, load_font(12))
    ramps = (
        (TERRAIN_STOPS, ("lowest", "", "highest"), "pixel of each chip"),
        (SLOPE_STOPS, ("0", "15", "30"), "%"),
        (AGBD_STOPS, ("0", "250", "500"), "Mg/ha"),
    )
    for column, (stops, marks, unit) in enumerate(ramps, start=3):
        _draw_ramp(image, draw, stops, marks, unit, (_left_edge(column, side), top + 4), side)
    notes = ("Square: the 4x4 pixels at the footprint.", "North is up.")
    for number, note in enumerate(notes):
        draw.text((MARGIN, top + 4 + number * ENTRY), note, QUIET, load_font(12))


def _draw_ramp(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    stops: Stops,
    marks: tuple[str, str, str],
    unit: str,
    place: tuple[int, int],
    side: int,
) -> None:
    """Draw a bar of colours with marks at its start, middle and end."""
    left, top = place
    colours = ramp(np.linspace(stops[0][0], stops[-1][0], side), stops)
    image.paste(Image.fromarray(np.repeat(colours[None], 12, axis=0)), (left, top))
    for mark, anchor, at in zip(marks, ("la", "ma", "ra"), (0, side // 2, side), strict=True):
        draw.text((left + at, top + 16), mark, QUIET, load_font(12), anchor=anchor)
    draw.text((left, top + 32), unit, QUIET, load_font(12))


def _left_edge(column: int, side: int) -> int:
    return MARGIN + TEXT_WIDTH + column * (side + GAP)


@cache
def load_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that comes with Pillow: the same on every machine."""
    return ImageFont.load_default(size)
