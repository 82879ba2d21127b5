"""What an image and its label file say: read once, before anything is decided for all of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.contents import Contents, Pair
from factory_pipeline.datalake.ingest.releases.georeference import Georeference
from factory_pipeline.datalake.ingest.releases.label_file import (
    MOST_BYTES,
    DrawnObject,
    LabelFile,
    Ring,
    read_label_file,
)
from factory_pipeline.datalake.ingest.releases.placement import Placement, place
from factory_pipeline.datalake.ingest.releases.problems import LabelFileError
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.headers import GDAL_OPTIONS, Header, open_image
from factory_pipeline.imagery.pixels import strips_of
from factory_pipeline.imagery.row_frames import Schema
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.thread_map import map_in_threads

WORKERS = 2
"""Pairs read at once."""
BOX_PIXELS = 1e-3
"""How far the corners of a rectangle may be from the sides, in pixels."""
EDGE_PIXELS = 1.0
"""How far labels in degrees may leave an image: an outline is only as exact as a pixel."""
ROUNDING_PIXELS = 1e-6

FACTS: Schema = {
    "stem": pl.String,
    "image": pl.String,
    "label": pl.String,
    "problem_file": pl.String,
    "problem": pl.String,
    "sha256": pl.String,
    "width": pl.Int64,
    "height": pl.Int64,
    "bands": pl.Int64,
    "dtype": pl.String,
    "nodata": pl.Float64,
    "band_names": pl.List(pl.String),
    "rgb": pl.List(pl.Int64),
    "crs": pl.String,
    "transform": pl.List(pl.Float64),
    "placed_by": pl.String,
    "conflict": pl.String,
    "original_name": pl.String,
    "acquired": pl.Datetime("us", "UTC"),
    "classes": pl.List(pl.String),
    "drawn": pl.String,
    "are_boxes": pl.Boolean,
    "fits_degrees": pl.Boolean,
    "fits_pixels": pl.Boolean,
    "not_binary": pl.String,
    "not_zero": pl.String,
    "are_int32": pl.Boolean,
    "are_float32": pl.Boolean,
}
"""A row per pair. `problem` is why it can't be taken, the rest of a sentence that begins with `problem_file`;
the columns behind it are null then. `drawn` is a class with an object, `not_binary` one with a number that is
neither 0 nor 1, `not_zero` one with a number other than 0; null where there is none. `are_boxes` tells
whether all objects are rectangles. `fits_degrees` and `fits_pixels` tell whether all objects are in the image
if their coordinates are read so. `are_int32` and `are_float32` tell which type can hold all numbers."""


def pair_facts(folder: Path, contents: Contents, policy: IntakePolicy) -> Iterator[dict[str, Any]]:
    """Read all pairs; every pixel is decoded once.

    Args:
        folder: where the archive was unpacked.
        contents: its files.
        policy: limits on the pixels and decoded bytes of an image.

    Yields:
        Rows in FACTS, in the order of the pairs.
    """
    return map_in_threads(lambda pair: _row(folder, contents, pair, policy), contents.pairs, WORKERS)


def _row(folder: Path, contents: Contents, pair: Pair, policy: IntakePolicy) -> dict[str, Any]:
    row = dict.fromkeys(FACTS) | vars(pair)
    inside = folder / contents.root
    file = pair.label
    try:
        labels = read_label(inside / pair.label)
        file = pair.image
        image = _image(inside / pair.image, policy)
        file = pair.label
        size = image["width"], image["height"]
        placement = place(labels.outline, size, image.pop("crs"), image.pop("transform"))
        facts = image | _placement_facts(placement) | _label_facts(labels, size, placement.georeference)
    except LabelFileError as error:
        return row | {"problem_file": file, "problem": str(error)}
    return row | facts


def read_label(path: Path) -> LabelFile:
    """Read a label file on the disk.

    Raises:
        LabelFileError: it can't be taken.
    """
    if path.stat().st_size > MOST_BYTES:
        raise LabelFileError(f"has more than the {MOST_BYTES:,} bytes that a label file may have")
    return read_label_file(path.read_bytes())


def points_of(objects: Sequence[DrawnObject]) -> NDArray[np.float64]:
    """Return all points of objects, (n, 2)."""
    rings = [ring for each in objects for part in each.parts for ring in part]
    return np.array([point for ring in rings for point in ring], np.float64).reshape(-1, 2)


def box_of(ring: Ring | NDArray[np.float64], tolerance: float = 0.0) -> tuple[float, ...] | None:
    """Return the left, top, right, bottom of a ring that is a rectangle with sides along the axes.

    Args:
        ring: (corners, 2) x, y.
        tolerance: by which corners may be off, in the units of the ring.
    """
    points = np.asarray(ring, np.float64)
    if len(points) != 4:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    at_low, at_high = np.abs(points - low) <= tolerance, np.abs(points - high) <= tolerance
    corners = {tuple(corner) for corner in np.where(at_high, 1, 0).tolist()}
    # Neighbours share a side.
    turns = np.abs(np.diff(np.where(at_high, 1, 0), axis=0)).sum(axis=1)
    if (at_low | at_high).all() and len(corners) == 4 and (turns == 1).all():
        return (*low.tolist(), *high.tolist())
    return None


def _image(path: Path, policy: IntakePolicy) -> dict[str, Any]:
    with rasterio.Env(**GDAL_OPTIONS):
        header, image = open_image(path)
        if image is None:
            raise LabelFileError(f"is not a TIFF that can be read: {header.error}")
        with image:
            _check_header(header, policy)
            try:
                for _ in strips_of(image, path):
                    pass
            except OnboardingError as error:
                reason = str(error).removeprefix(f"{path.name} ").removesuffix(".")
                raise LabelFileError(reason) from None
            colors = list(image.colorinterp)
    rgb = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    return {
        "sha256": sha256_of(path),
        "width": header.width,
        "height": header.height,
        "bands": header.bands,
        "dtype": header.dtype,
        "nodata": header.nodata,
        "band_names": list(header.band_names or ()),
        "rgb": [colors.index(color) for color in rgb] if set(rgb) <= set(colors) else None,
        "crs": header.crs,
        "transform": header.transform,
    }


def _check_header(header: Header, policy: IntakePolicy) -> None:
    if header.format != "GTiff":
        raise LabelFileError(f"is not a TIFF but {header.format}")
    if "," in (header.dtype or ""):
        raise LabelFileError(f"has bands of different types, {header.dtype}")
    pixels = (header.width or 0) * (header.height or 0) * (header.bands or 0)
    for found, most, what in (
        (pixels, policy.max_pixels, "pixels in all bands"),
        (header.image_bytes or 0, policy.max_image_bytes, "bytes of pixels"),
        (header.block_bytes or 0, policy.max_block_bytes, "bytes in one strip or tile"),
    ):
        if found > most:
            raise LabelFileError(f"declares {found:,} {what}; {most:,} are allowed")


def _placement_facts(placement: Placement) -> dict[str, Any]:
    found = placement.georeference
    return {
        "crs": None if found is None else found.crs,
        "transform": placement.transform if found is None else found.transform,
        "placed_by": placement.by.name,
        "conflict": placement.conflict,
    }


def _label_facts(
    labels: LabelFile, size: tuple[int, int], georeference: Georeference | None
) -> dict[str, Any]:
    objects = [each for several in labels.objects.values() for each in several]
    points = points_of(objects)
    laid = None if georeference is None or not objects else georeference.to_pixels(points)
    numbers = labels.numbers
    return {
        "original_name": labels.original_name,
        "acquired": labels.acquired,
        "classes": list(labels.classes),
        "drawn": next((name for name, several in labels.objects.items() if several), None),
        "are_boxes": all(_is_box(each, georeference) for each in objects),
        "fits_pixels": _is_inside(points, size, ROUNDING_PIXELS),
        "fits_degrees": not objects if laid is None else _is_inside(laid, size, EDGE_PIXELS),
        "not_binary": _find_first(numbers, lambda value: value not in (0, 1)),
        "not_zero": _find_first(numbers, lambda value: value != 0),
        "are_int32": all(isinstance(value, int) and abs(value) < 2**31 for value in numbers.values()),
        "are_float32": all(is_float32(value) for value in numbers.values()),
    }


def is_float32(value: float) -> bool:
    """Whether a number is the shortest text of a float32, such as 123.4."""
    with np.errstate(over="ignore"):
        return float(str(np.float32(value))) == value


def _find_first(numbers: Mapping[str, float], is_it: Any) -> str | None:
    return next((name for name, value in numbers.items() if is_it(value)), None)


def _is_box(each: DrawnObject, georeference: Georeference | None) -> bool:
    if len(each.parts) != 1 or len(each.parts[0]) != 1:
        return False
    ring = each.parts[0][0]
    if box_of(ring) is not None:
        return True
    return georeference is not None and box_of(georeference.to_pixels(np.array(ring)), BOX_PIXELS) is not None


def _is_inside(points: NDArray[np.float64], size: tuple[int, int], slack: float) -> bool:
    return bool(((points >= -slack) & (points <= np.array(size) + slack)).all())
