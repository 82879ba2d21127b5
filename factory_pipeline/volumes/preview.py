"""Sheets by which a person judges pairs and fields: sections, their difference, and the field."""

import io
import math
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from factory_pipeline.volumes.pair_files import images_of
from factory_pipeline.volumes.warp import warp

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

PANEL = 112
"""Pixels of the longer edge of a panel."""
TITLE, LEGEND = 16, 44
GAP = 4
ARROWS = 8
"""Arrows along an edge of a panel."""
COLUMNS = ("src", "tgt", "difference", "after warping", "field")
BACKGROUND, INK = (24, 24, 24), (235, 235, 235)
COLOURS = 96
"""Of the PNG's palette: grain of sections makes larger files the more there are."""


def pair_sheet(images: Path, fields: Path, pairs: int = 4, max_bytes: int | None = None) -> bytes:
    """Draw pairs, evenly spread over a file, as a PNG with a row for each.

    The columns are src, tgt, their difference, the difference of tgt and src warped by the field, and the
    field: its direction as hue and as arrows, its length as saturation. x goes to the right, y downwards, as
    in a viewer. The same files give the same bytes.

    Args:
        images: file of image pairs.
        fields: file of their fields, in pixels of the images.
        pairs: rows of the sheet, where there are as many.
        max_bytes: if the PNG would be larger, it has fewer rows, down to one.
    """
    with h5py.File(images) as image_file, h5py.File(fields) as field_file:
        pair_rows, field_rows = images_of(image_file), images_of(field_file)
        number = min(pairs, len(pair_rows))
        while True:
            shown = np.linspace(0, len(pair_rows) - 1, number).round().astype(int).tolist()
            png = _png(_sheet([(pair_rows[row], field_rows[row]) for row in shown]))
            if max_bytes is None or len(png) <= max_bytes or number <= 1:
                return png
            number = min(number - 1, int(number * max_bytes / len(png)) or 1)


def _sheet(rows: list[tuple[Floats, Floats]]) -> Image.Image:
    longest = max(float(np.hypot(*field).max()) for _, field in rows) or 1.0
    panels = [_panels(pair[0], pair[1], field, longest) for pair, field in rows]
    width, height = panels[0][0].size
    sheet = Image.new(
        "RGB",
        (len(COLUMNS) * (width + GAP), TITLE + len(rows) * (height + GAP) + LEGEND),
        BACKGROUND,
    )
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(COLUMNS):
        draw.text((column * (width + GAP) + 2, 2), title, INK)
        for row, drawn in enumerate(panels):
            sheet.paste(drawn[column], (column * (width + GAP), TITLE + row * (height + GAP)))
    wheel = _wheel(LEGEND - 4)
    below = sheet.height - LEGEND + 2
    sheet.paste(wheel, (sheet.width - wheel.width - GAP, below))
    draw.text(
        (GAP, below + 14), f"Colour wheel: direction and length of a field, up to {longest:.2f} pixels", INK
    )
    return sheet


def _panels(src: Floats, tgt: Floats, field: Floats, longest: float) -> list[Image.Image]:
    data = np.concatenate([src[src != 0], tgt[tgt != 0]])
    low, high = np.percentile(data, (1, 99)) if data.size else (0.0, 1.0)
    span = max(float(high - low), 1e-6)
    grey = [_draw_panel(((image - low) / span).clip(0, 1) * (image != 0)) for image in (src, tgt)]
    differences = []
    for moved in (src, warp(src, field)):
        both = (moved != 0) & (tgt != 0)
        differences.append(_draw_panel(np.where(both, (0.5 + (moved - tgt) / (2 * span)).clip(0, 1), 0)))
    return [*grey, *differences, _draw_field(field, longest)]


def _draw_panel(image: NDArray[np.floating]) -> Image.Image:
    """Return a grey panel of values 0 to 1, (x, y)."""
    return _resize(Image.fromarray((image.T * 255).astype(np.uint8))).convert("RGB")


def _resize(image: Image.Image) -> Image.Image:
    scale = PANEL / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    return image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST)


def _draw_field(field: Floats, longest: float) -> Image.Image:
    panel = _resize(Image.fromarray(_colours(field[1].T, field[0].T, longest)))
    draw = ImageDraw.Draw(panel)
    step = max(panel.size) / ARROWS
    reach = 0.9 * step / longest
    for row in range(int(panel.height / step)):
        for column in range(int(panel.width / step)):
            x, y = (column + 0.5) * step, (row + 0.5) * step
            at = int(x / panel.width * field.shape[1]), int(y / panel.height * field.shape[2])
            move = float(field[1][at]) * reach, float(field[0][at]) * reach
            _arrow(draw, (x - move[0] / 2, y - move[1] / 2), move)
    return panel


def _arrow(draw: ImageDraw.ImageDraw, start: tuple[float, float], move: tuple[float, float]) -> None:
    end = start[0] + move[0], start[1] + move[1]
    draw.line([start, end], (0, 0, 0))
    length = math.hypot(*move)
    if length < 3:
        return
    for side in (0.5, -0.5):
        angle = math.atan2(move[1], move[0]) + math.pi - side
        draw.line([end, (end[0] + 3 * math.cos(angle), end[1] + 3 * math.sin(angle))], (0, 0, 0))


def _colours(right: Floats, down: Floats, longest: float) -> Picture:
    """Hue by direction, saturation by length; white is no displacement."""
    hue = (np.arctan2(down, right) / (2 * np.pi)) % 1
    saturation = (np.hypot(right, down) / longest).clip(0, 1)
    ramps = [(hue * 6 + offset) % 6 for offset in (5, 3, 1)]
    channels = [1 - saturation * np.minimum(ramp, 4 - ramp).clip(0, 1) for ramp in ramps]
    return (np.stack(channels, axis=-1) * 255).round().astype(np.uint8)


def _wheel(size: int) -> Image.Image:
    down, right = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) * 2 / size - 1
    colours = _colours(right, down, 1.0)
    colours[np.hypot(right, down) > 1] = BACKGROUND
    return Image.fromarray(colours)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    # Grain of sections is most of a file: it needs no more than some shades.
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
