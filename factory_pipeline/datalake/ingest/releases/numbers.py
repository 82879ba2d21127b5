"""Numbers per image as rasters of one value: the lake has measured values as rasters alone."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from affine import Affine
from rasterio.io import MemoryFile

from factory_pipeline.open_raster import open_in_memory
from factory_pipeline.storage.slug import slug

NUMBER_TYPES = ("int32", "float32", "float64")


def number_type(facts: pl.DataFrame) -> str:
    """Return the type of the rasters that can hold every number of a release as it is written.

    Args:
        facts: of all pairs that are taken.
    """
    if facts["are_int32"].all():
        return "int32"
    return "float32" if facts["are_float32"].all() else "float64"


def write_number(
    folder: Path, label: str, stem: str, value: float, dtype: str, image: dict[str, Any]
) -> tuple[Path, str]:
    """Write a raster of one value on the grid of an image.

    Args:
        folder: of all such rasters; a folder per label is made in it.
        label: what was measured.
        stem: of the image.
        value: of all pixels.
        dtype: one of NUMBER_TYPES.
        image: `width`, `height`, `crs`, `transform` as in FACTS.

    Returns:
        The file and its SHA-256 in hex.
    """
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "count": 1,
        "width": image["width"],
        "height": image["height"],
        "dtype": dtype,
        "compress": "deflate",
        "crs": image["crs"],
        "transform": None if image["transform"] is None else Affine(*image["transform"]),
    }
    with MemoryFile() as memory:
        with open_in_memory(memory, **profile) as out:
            out.write(np.full((1, image["height"], image["width"]), value, dtype))
            out.descriptions = (label,)
        content = bytes(memory.getbuffer())
    path = folder / slug(label) / f"{stem}.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()
