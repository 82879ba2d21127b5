"""A small picture of an imported release: some images with what is drawn on them."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import scan_annotations
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.imagery.class_colours import class_colour
from factory_pipeline.open_raster import open_raster
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve

SIDE, GAP, COLUMNS, MOST_IMAGES = 128, 4, 4, 8
SPREAD = (2.0, 98.0)
"""Percentiles of a band that become black and white."""


def release_sheet(registry: Registry, home: FactoryHome, collection: Collection) -> bytes:
    """Return a PNG of some images of a collection, evenly spread, their labels drawn over them.

    Rectangles and polygons are outlines in the colour of their class; a rectangle around the whole image is a
    frame.

    Args:
        registry: of the home.
        home: with the images.
        collection: of a release.
    """
    items = scan_items(resolve(collection.items_path, home))
    step = max(collection.item_count // MOST_IMAGES, 1)
    shown = items.select("id", "media", "width", "height").gather_every(step).head(MOST_IMAGES).collect()
    drawn = _annotations(registry, home, collection, shown["id"])
    labels = sorted({row["label"] for row in drawn})
    rows = -(-shown.height // COLUMNS)
    across, down = min(shown.height, COLUMNS) * (SIDE + GAP) - GAP, rows * (SIDE + GAP) - GAP
    sheet = Image.new("RGB", (across, down), "white")
    for number, item in enumerate(shown.iter_rows(named=True)):
        picture = _picture(resolve(item["media"][0]["path"], home), item["media"][0]["rgb"])
        _draw(picture, item, [row for row in drawn if row["item"] == item["id"]], labels)
        sheet.paste(picture, (number % COLUMNS * (SIDE + GAP), number // COLUMNS * (SIDE + GAP)))
    stored = BytesIO()
    # Few colours keep it small: it is stored with the event.
    sheet.quantize(128).save(stored, "PNG", optimize=True)
    return stored.getvalue()


def _annotations(
    registry: Registry, home: FactoryHome, collection: Collection, ids: pl.Series
) -> list[dict[str, Any]]:
    return [
        row
        for operation in registry.operations(collection.id)
        for row in scan_annotations(resolve(operation.path, home))
        .filter(pl.col("item").is_in(ids.implode()))
        .select("item", "label", "bbox", "rings")
        .collect()
        .to_dicts()
    ]


def _picture(path: Path, rgb: list[int] | None) -> Image.Image:
    with open_raster(path) as source:
        bands = [band + 1 for band in (rgb or ([0, 1, 2] if source.count >= 3 else [0, 0, 0]))]
        shape = (3, min(SIDE, source.height), min(SIDE, source.width))
        values = source.read(bands, out_shape=shape).astype(np.float64)
    stretched = np.stack([_stretch(band) for band in values], axis=-1)
    return Image.fromarray(stretched).resize((SIDE, SIDE), Image.Resampling.NEAREST)


def _stretch(band: NDArray[np.float64]) -> NDArray[np.uint8]:
    finite = band[np.isfinite(band)]
    low, high = np.percentile(finite, SPREAD) if finite.size else (0.0, 1.0)
    scaled = (np.nan_to_num(band, nan=low) - low) / max(high - low, 1e-9) * 255
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _draw(picture: Image.Image, item: dict[str, Any], rows: list[dict[str, Any]], labels: list[str]) -> None:
    pen = ImageDraw.Draw(picture)
    scale = np.array([SIDE / item["width"], SIDE / item["height"]])
    for row in rows:
        color = class_colour(labels.index(row["label"]))
        if row["bbox"] is None:
            continue
        x, y, width, height = row["bbox"]
        rings = row["rings"] or [[[x, y], [x + width, y], [x + width, y + height], [x, y + height]]]
        for ring in rings:
            points = np.clip(np.array([*ring, ring[0]]) * scale, 0, SIDE - 1)
            pen.line([tuple(point) for point in points.tolist()], fill=color, width=1)
