"""The contents of the files of an upload: header and pixels, read in one pass by strips."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import rasterio
from numpy.typing import NDArray

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.imagery.band_tallies import (
    BandTally,
    add_tallies,
    count_bands,
    is_countable,
    pack_tallies,
)
from factory_pipeline.imagery.headers import FILE_SCHEMA, GDAL_OPTIONS, Header, Role, file_row, open_image
from factory_pipeline.imagery.known_tiffs import MOST_BYTES, known_tiff, remember_tiff
from factory_pipeline.imagery.pixels import DamagedPixelsError, Strip, strips_of
from factory_pipeline.imagery.row_frames import Schema
from factory_pipeline.imagery.streaming_quantiles import Counts
from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL, Suffixes
from factory_pipeline.onboarding.checks.outlier_values import (
    EXTREMES,
    Extremes,
    extremes_in,
    extremes_of,
    merge_extremes,
)
from factory_pipeline.onboarding.checks.pixel_tallies import TallyWriter
from factory_pipeline.splits.near_identical import grey_rows, thumbnail_of_rows
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.thread_map import map_in_threads

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
    tallies: TallyWriter | None = None,
) -> Iterator[dict[str, Any]]:
    """Read every image and label once.

    Pixels are not read if the header can't be read, or declares more than the policy allows.

    Args:
        folder: the unpacked archive.
        suffixes: of the images and labels.
        policy: limits on the pixels and decoded bytes of an image.
        nodata: values that are no data beside what the files declare, by suffix.
        workers: number of files that are read concurrently.
        tallies: the tallies of each file are appended to it, in the order of the rows.

    Yields:
        Rows in CONTENT_SCHEMA in the order of `names_in`, names relative to `folder`.
    """

    def row_of(given: tuple[str, Role]) -> tuple[dict[str, Any], bytes]:
        return _row(folder, *given, policy, nodata)

    asked = ((name, role) for name in names_in(folder) if (role := suffixes.role_of(name)) is not None)
    for row, packed in map_in_threads(row_of, asked, workers):
        if tallies is not None:
            tallies.append(packed)
        yield row


def names_in(folder: Path) -> Iterator[str]:
    """Yield the names of the files in a folder and its subfolders, separated by `/`, folder by folder."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        inside = Path(parent).relative_to(folder).as_posix()
        yield from (name if inside == "." else f"{inside}/{name}" for name in sorted(files))


def _row(
    folder: Path, name: str, role: Role, policy: IntakePolicy, nodata: Mapping[str, float]
) -> tuple[dict[str, Any], bytes]:
    """Return the row of a file, and its tallies."""
    path = folder / name
    size = path.stat().st_size
    content = path.read_bytes() if size <= MOST_BYTES else None
    nodata_value = nodata.get(role.suffix)
    found, tallies = None, b""
    known = None if content is None else known_tiff(content)
    if known is not None and content is not None and _is_allowed(header := known.header, policy):
        strips = known.strips()
        if strips is not None:
            found, tallies = _pixels(strips, role.role, nodata_value)
            found["sha256"] = hashlib.sha256(content).hexdigest()
    if found is None:
        header, found, tallies = _read_by_gdal(path, content, role.role, policy, nodata_value)
    return dict.fromkeys(CONTENT_SCHEMA) | file_row(name, role, size, header) | found, tallies


def _read_by_gdal(
    path: Path, content: bytes | None, role: str, policy: IntakePolicy, nodata: float | None
) -> tuple[Header, dict[str, Any], bytes]:
    """Return the header of a file, what its pixels contain, and their tallies."""
    found: dict[str, Any] = {}
    tallies = b""
    with rasterio.Env(**GDAL_OPTIONS):
        header, image = open_image(path)
        if image is not None:
            with image:
                if _is_allowed(header, policy):
                    found, tallies = _pixels(strips_of(image, path), role, nodata)
                    found["sha256"] = sha256_of(path)
                    if content is not None and "read_error" not in found:
                        remember_tiff(content, image, header)
    return header, found, tallies


def _is_allowed(header: Header, policy: IntakePolicy) -> bool:
    """Return whether an image is small enough to be decoded."""
    declared = (header.width or 0) * (header.height or 0) * (header.bands or 0)
    return (
        declared <= policy.max_pixels
        and (header.image_bytes or 0) <= policy.max_image_bytes
        and (header.block_bytes or 0) <= policy.max_block_bytes
    )


def _pixels(strips: Iterator[Strip], role: str, nodata: float | None) -> tuple[dict[str, Any], bytes]:
    """Return what the pixels of a file contain, and its tallies."""
    values: set[float] = set()
    filled: list[bool] = []
    extremes: list[Extremes | None] = []
    rows: list[NDArray[np.float32]] = []
    tallies: list[BandTally] = []
    total, counted = 0.0, 0
    dtype: np.dtype[Any] = np.dtype(np.float64)
    try:
        for pixels, valid in strips:
            dtype = pixels.dtype
            if nodata is not None:
                valid &= pixels != (nodata if dtype.kind in "iu" else dtype.type(nodata))
            if is_countable(dtype):
                bands = count_bands(pixels, valid)
                tallies = add_tallies(tallies, bands)
                part = _of_counts([band.counts for band in bands], is_label=role == LABEL)
            else:
                part = _of_pixels(pixels, valid, is_label=role == LABEL)
            extremes = (
                [merge_extremes(*pair) for pair in zip(extremes, part.extremes, strict=True)]
                if extremes
                else part.extremes
            )
            filled = [one or other for one, other in zip_longest(filled, part.filled, fillvalue=False)]
            if role == IMAGE:
                rows.append(grey_rows(pixels, valid))
            if role == LABEL and len(values) <= MOST_VALUES:
                values.update(part.values)
            total, counted = total + part.total, counted + part.counted
    except DamagedPixelsError as error:
        return {"read_error": error.reason}, b""
    empty = [band for band, found in enumerate(filled) if not found]
    found = {
        "values": sorted(values)[:MOST_VALUES] if role == LABEL else None,
        "mean": total / counted if role == LABEL and counted else None,
        "empty_bands": empty,
        "extremes": [dict(vars(one)) if one else None for one in extremes],
        "thumbnail": thumbnail_of_rows(np.concatenate(rows)).tobytes() if rows else None,
    }
    return found, pack_tallies(dtype, tallies) if tallies else b""


@dataclass(frozen=True)
class _Part:
    """What a strip contains; the values and the sum of the valid finite ones are those of labels."""

    extremes: list[Extremes | None]
    filled: list[bool]
    """Whether a band has any data."""
    values: list[float]
    total: float
    counted: int


def _of_counts(bands: Sequence[Counts], *, is_label: bool) -> _Part:
    extremes = [extremes_in(band) for band in bands]
    filled = [bool(band.counts.size) for band in bands]
    if not is_label:
        return _Part(extremes, filled, [], 0.0, 0)
    together = sum(bands[1:], bands[0])
    return _Part(extremes, filled, together.values.tolist(), float(together.sum), together.total)


def _of_pixels(pixels: NDArray[np.generic], valid: NDArray[np.bool_], *, is_label: bool) -> _Part:
    extremes = [extremes_of(band[good]) for band, good in zip(pixels, valid, strict=True)]
    filled = [bool(good.any()) for good in valid]
    if not is_label:
        return _Part(extremes, filled, [], 0.0, 0)
    labelled = pixels[valid]
    known = labelled.astype(np.float64)
    known = known[np.isfinite(known)]
    return _Part(extremes, filled, np.unique(labelled).tolist(), float(known.sum()), known.size)
