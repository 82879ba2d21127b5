"""What the pixels of an upload hold: one pass over every file, in strips."""

from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from factory_pipeline.checksum import sha256_of
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.gather import frame_of, in_order
from factory_pipeline.onboarding.matching import LABEL
from factory_pipeline.onboarding.pixels import strips

CONTENT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "sha256": pl.String,
    "values": pl.List(pl.Float64),
    "empty_bands": pl.List(pl.Int64),
    "read_error": pl.String,
}
"""Columns that are added to a frame of files: SHA-256 of the file; the values of a label, no data left out,
the lowest MOST_VALUES of them; the bands without any data, the first is 0; why the pixels can't be read. Null
where a file was not read."""
MOST_VALUES = 1000
"""A mask of more values is no mask of classes."""


def scan_contents(folder: Path, files: pl.DataFrame, max_pixels: int, workers: int = 2) -> pl.DataFrame:
    """Read every image and label once.

    Files whose header can't be read, or declares more pixels than are allowed, are left unread.

    Args:
        folder: where the archive was unpacked.
        files: in headers.FILE_SCHEMA, names relative to `folder`.
        max_pixels: most pixels of an image, all bands together.
        workers: files read at once.

    Returns:
        The frame with the columns of CONTENT_SCHEMA.
    """
    pixels = pl.col("width").cast(pl.Float64) * pl.col("height") * pl.col("bands")
    asked = files.select("name", "role", readable=pl.col("error").is_null() & (pixels <= max_pixels))

    def content_of(row: tuple[str, str, bool]) -> dict[str, Any]:
        name, role, readable = row
        return _content(folder / name, role) if readable else dict.fromkeys(CONTENT_SCHEMA)

    return files.hstack(frame_of(in_order(content_of, asked.iter_rows(), workers), CONTENT_SCHEMA))


def _content(path: Path, role: str) -> dict[str, Any]:
    digest = sha256_of(path)
    values: set[float] = set()
    filled: list[bool] = []
    try:
        for pixels, valid in strips(path):
            filled = [
                bool(one or other) for one, other in zip_longest(filled, map(np.any, valid), fillvalue=False)
            ]
            if role == LABEL and len(values) <= MOST_VALUES:
                values.update(np.unique(pixels[valid]).tolist())
    except OnboardingError as error:
        return {"sha256": digest, "values": None, "empty_bands": None, "read_error": str(error).rstrip(".")}
    empty = [band for band, found in enumerate(filled) if not found]
    kept = sorted(values)[:MOST_VALUES] if role == LABEL else None
    return {"sha256": digest, "values": kept, "empty_bands": empty, "read_error": None}
