"""Reading every pixel of a raster in strips, with its no data."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.decoder_warnings import heard_warnings
from factory_pipeline.imagery.headers import GDAL_OPTIONS
from factory_pipeline.open_raster import open_raster
from factory_pipeline.plain_text import count_noun

VALUES_PER_STRIP = 2**22
"""Pixels times bands that are read at once, which bounds the memory per file."""


Strip = tuple[NDArray[np.generic], NDArray[np.bool_]]
"""Values (bands, rows, columns) in the file's dtype, and whether each is valid, in the same shape."""


def strips(path: Path, bands: int | None = None, dtype: np.dtype | None = None) -> Iterator[Strip]:
    """Read a raster from top to bottom.

    No data is the nodata value that the file declares, per band, and NaN and infinity; TerraTorch ignores the
    same. Masks and alpha bands are not applied.

    Args:
        path: a raster that GDAL reads.
        bands: number of bands that it must have, if any.
        dtype: data type that it must have, if any.

    Yields:
        Values (bands, rows, columns), and whether each is valid, in the same shape.

    Raises:
        OnboardingError: CHECK_FAILED, the file can't be read or has other bands or another data type.
    """
    try:
        with rasterio.Env(**GDAL_OPTIONS), open_raster(path) as source:
            if bands is not None and source.count != bands:
                raise OnboardingError(
                    "CHECK_FAILED", f"{path.name} has {count_noun(source.count, 'band')}, not {bands}."
                )
            found = np.result_type(*source.dtypes)
            if dtype is not None and found != dtype:
                raise OnboardingError("CHECK_FAILED", f"{path.name} has the data type {found}, not {dtype}.")
            yield from strips_of(source, path)
    except RasterioError as error:
        raise _unreadable_error(path) from error


def strips_of(source: rasterio.DatasetReader, path: Path) -> Iterator[Strip]:
    """As `strips`, for a raster that is open.

    Args:
        source: the open raster.
        path: of the raster, for messages.

    Yields:
        As `strips`.

    Raises:
        OnboardingError: CHECK_FAILED, it can't be read.
    """
    found = np.result_type(*source.dtypes)
    block_rows = source.block_shapes[0][0]
    rows = _strip_rows(source.count, source.width, block_rows)
    try:
        for top in range(0, source.height, rows):
            window = Window(0, top, source.width, min(rows, source.height - top))
            with _strict_decoding(path, top):
                values = source.read(window=window, out_dtype=found)
            yield values, _valid(values, source.nodatavals)
    except RasterioError as error:
        raise DamagedPixelsError(path, top) from error


def cut_strips(
    values: NDArray[np.generic], block_rows: int, nodata: tuple[float | None, ...]
) -> Iterator[Strip]:
    """As `strips`, for a raster whose pixels are in memory.

    Args:
        values: (bands, rows, columns).
        block_rows: rows of a block of the file, as GDAL reports it.
        nodata: what the file declares, per band.
    """
    rows = _strip_rows(len(values), values.shape[2], block_rows)
    for top in range(0, values.shape[1], rows):
        part = values[:, top : top + rows]
        yield part, _valid(part, nodata)


def _strip_rows(bands: int, width: int, block_rows: int) -> int:
    """Return the rows of a strip: complete blocks."""
    rows = max(VALUES_PER_STRIP // (bands * width), 1)
    return max(rows // block_rows, 1) * block_rows


def data_type(path: Path) -> np.dtype:
    """Return the data type that can represent all bands of a raster.

    Raises:
        OnboardingError: CHECK_FAILED, the file can't be read.
    """
    try:
        with rasterio.Env(**GDAL_OPTIONS), open_raster(path) as source:
            return np.result_type(*source.dtypes)
    except RasterioError as error:
        raise _unreadable_error(path) from error


def _valid(values: NDArray[np.generic], nodata: tuple[float | None, ...]) -> NDArray[np.bool_]:
    valid = (
        np.isfinite(values)
        if np.issubdtype(values.dtype, np.floating)
        else np.ones(values.shape, dtype=np.bool_)
    )
    for band, value in enumerate(nodata):
        if value is None or np.isnan(value):
            continue
        if np.issubdtype(values.dtype, np.floating):
            valid[band] &= values[band] != values.dtype.type(value)
        else:
            valid[band] &= values[band] != value
    return valid


INCOMPLETE = re.compile(r"premature|corrupt|truncat|not enough|bad code word", re.I)
"""Warnings of decoders that continue with invented pixels: JPEG and fax strips of a TIFF raise no error."""


class DamagedPixelsError(OnboardingError):
    """Pixels that can't be decoded; what the decoder's library says of it is the cause, for the log."""

    def __init__(self, path: Path, row: int) -> None:
        """Say where the damage begins.

        Args:
            path: of the raster.
            row: the first of those that were read together, counted from 0.
        """
        self.reason = f"its pixels from row {row:,} on can't be decoded"
        """As it follows the name of the file in a message."""
        super().__init__("CHECK_FAILED", f"{path.name} is truncated or damaged: {self.reason}.")


@contextmanager
def _strict_decoding(path: Path, row: int) -> Iterator[None]:
    """Raise an error if a decoder warns that pixels are missing."""
    with heard_warnings() as heard:
        yield
    complaint = next(filter(INCOMPLETE.search, heard), None)
    if complaint is not None:
        raise DamagedPixelsError(path, row) from RasterioError(complaint)


def _unreadable_error(path: Path) -> OnboardingError:
    reason = "it is none, or its header is damaged"
    return OnboardingError("CHECK_FAILED", f"{path.name} can't be read as a raster: {reason}.")
