"""The contents of the files of an upload: header and pixels, read in one pass by strips."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import rasterio
from numpy.typing import NDArray

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.imagery.headers import FILE_SCHEMA, GDAL_OPTIONS, Header, Role, file_row, open_image
from factory_pipeline.imagery.parallel_map import Schema, map_in_threads
from factory_pipeline.imagery.pixels import DamagedPixelsError, strips_of
from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL, Suffixes
from factory_pipeline.onboarding.checks.outlier_values import (
    EXTREMES,
    Extremes,
    extremes_of,
    merge_extremes,
)
from factory_pipeline.splits.near_identical import grey_rows, thumbnail_of_rows
from factory_pipeline.storage.checksum import sha256_of

CONTENT_SCHEMA: Schema = {
    **FILE_SCHEMA,
    "sha256": pl.String,
    "values": pl.List(pl.Float64),
    "mean": pl.Float64,
    "empty_bands": pl.List(pl.Int64),
    "extremes": pl.List(EXTREMES),
    "thumbnail": pl.Binary,
    "read_error": pl.String,
}
"""One row per image or label: its header; the SHA-256 of the file.

The values of a label without no data, the lowest MOST_VALUES of them; the mean of its valid pixels, whose
quartiles a split of measured values balances; the bands without any data, the first
is 0; the lowest and highest values of each band; the thumbnail of an image, near_identical.SIDE rows and
columns of a byte; why the pixels can't be read. Null if a file was not read.
"""
NOTHING_GIVEN: Mapping[str, float] = MappingProxyType({})
MOST_VALUES = 1000
"""A mask with more values is not a mask of classes."""


def scan_contents(
    folder: Path,
    suffixes: Suffixes,
    policy: IntakePolicy,
    nodata: Mapping[str, float] = NOTHING_GIVEN,
    workers: int = 2,
) -> Iterator[dict[str, Any]]:
    """Read every image and label once.

    Pixels are not read if the header can't be read, or declares more than the policy allows.

    Args:
        folder: the unpacked archive.
        suffixes: of the images and labels.
        policy: limits on the pixels and decoded bytes of an image.
        nodata: values that are no data beside what the files declare, by suffix.
        workers: number of files that are read concurrently.

    Yields:
        Rows in CONTENT_SCHEMA in the order of `names_in`, names relative to `folder`.
    """

    def row_of(given: tuple[str, Role]) -> dict[str, Any]:
        return _row(folder, *given, policy, nodata)

    asked = ((name, role) for name in names_in(folder) if (role := suffixes.role_of(name)) is not None)
    return map_in_threads(row_of, asked, workers)


def names_in(folder: Path) -> Iterator[str]:
    """Yield the names of the files in a folder and its subfolders, separated by `/`, folder by folder."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        inside = Path(parent).relative_to(folder).as_posix()
        yield from (name if inside == "." else f"{inside}/{name}" for name in sorted(files))


def _row(
    folder: Path, name: str, role: Role, policy: IntakePolicy, nodata: Mapping[str, float]
) -> dict[str, Any]:
    path = folder / name
    found: dict[str, Any] = {}
    with rasterio.Env(**GDAL_OPTIONS):
        header, image = open_image(path)
        if image is not None:
            with image:
                if _is_allowed(header, policy):
                    found = {
                        "sha256": sha256_of(path),
                        **_pixels(image, path, role.role, nodata.get(role.suffix)),
                    }
    return dict.fromkeys(CONTENT_SCHEMA) | file_row(name, role, path.stat().st_size, header) | found


def _is_allowed(header: Header, policy: IntakePolicy) -> bool:
    """Return whether an image is small enough to be decoded."""
    declared = (header.width or 0) * (header.height or 0) * (header.bands or 0)
    return (
        declared <= policy.max_pixels
        and (header.image_bytes or 0) <= policy.max_image_bytes
        and (header.block_bytes or 0) <= policy.max_block_bytes
    )


def _pixels(image: rasterio.DatasetReader, path: Path, role: str, nodata: float | None) -> dict[str, Any]:
    values: set[float] = set()
    filled: list[bool] = []
    extremes: list[Extremes | None] = []
    rows: list[NDArray[np.float32]] = []
    total, counted = 0.0, 0
    try:
        for pixels, valid in strips_of(image, path):
            if nodata is not None:
                valid &= pixels != (nodata if pixels.dtype.kind in "iu" else pixels.dtype.type(nodata))
            here = [extremes_of(band[good]) for band, good in zip(pixels, valid, strict=True)]
            extremes = (
                [merge_extremes(*pair) for pair in zip(extremes, here, strict=True)] if extremes else here
            )
            filled = [
                bool(one or other) for one, other in zip_longest(filled, map(np.any, valid), fillvalue=False)
            ]
            if role == IMAGE:
                rows.append(grey_rows(pixels, valid))
            if role == LABEL and len(values) <= MOST_VALUES:
                values.update(np.unique(pixels[valid]).tolist())
            if role == LABEL:
                known = pixels[valid].astype(np.float64)
                known = known[np.isfinite(known)]
                total, counted = total + float(known.sum()), counted + known.size
    except DamagedPixelsError as error:
        return {"read_error": error.reason}
    empty = [band for band, found in enumerate(filled) if not found]
    return {
        "values": sorted(values)[:MOST_VALUES] if role == LABEL else None,
        "mean": total / counted if counted else None,
        "empty_bands": empty,
        "extremes": [asdict(one) if one else None for one in extremes],
        "thumbnail": thumbnail_of_rows(np.concatenate(rows)).tobytes() if rows else None,
    }
