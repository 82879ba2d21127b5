"""Headers of image files: size, bands, data type, nodata value and georeference."""

import io
import math
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import rasterio
from pyproj.exceptions import ProjError
from rasterio.enums import Interleaving
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.orientation import SIDES_SWAPPED, read_orientation
from factory_pipeline.open_raster import open_in_memory, open_raster
from factory_pipeline.positioned_file import PositionedFile

DRIVERS = ("GTiff", "PNG", "JPEG")
"""GDAL drivers that are tried in this order; each recognises its own format.

No other driver is used: some open addresses and files that are named inside a file.
"""
GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",
}
"""Read the file alone, without files beside it, and fail if it is truncated: GDAL's fast path for PNG returns
uninitialised memory for the missing rows without an error, and libjpeg only warns and fills them with
grey.
"""

FILE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "name": pl.String,
    "role": pl.String,
    "suffix": pl.String,
    "stem": pl.String,
    "bytes": pl.Int64,
    "format": pl.String,
    "width": pl.Int64,
    "height": pl.Int64,
    "bands": pl.Int64,
    "dtype": pl.String,
    "image_bytes": pl.Int64,
    "block_bytes": pl.Int64,
    "nodata": pl.Float64,
    "crs": pl.String,
    "epsg": pl.Int64,
    "transform": pl.List(pl.Float64),
    "bounds": pl.List(pl.Float64),
    "band_names": pl.List(pl.String),
    "orientation": pl.Int64,
    "error": pl.String,
}
"""One row per image or label.

The columns after `bytes` are those of Header, null if the header can't be read.
"""


@dataclass(frozen=True)
class Role:
    """The role of a file in an upload."""

    role: str
    """IMAGE or LABEL."""
    suffix: str
    stem: str
    """The file's name without the suffix, after the folders that distinguish it from others of its name."""


@dataclass(frozen=True)
class Header:
    """The header of a file; all None except `error` if it can't be read."""

    format: str | None = None
    """GDAL's name of the format."""
    width: int | None = None
    height: int | None = None
    bands: int | None = None
    dtype: str | None = None
    """Data type of all bands; the types joined by commas if bands differ."""
    image_bytes: int | None = None
    """Bytes of all its pixels once they are decoded."""
    block_bytes: int | None = None
    """Bytes of the pixels that a decoder decodes at once: a strip or tile of a TIFF, else the whole image."""
    nodata: float | None = None
    crs: str | None = None
    """`EPSG:...`, or WKT if there is no code."""
    epsg: int | None = None
    transform: tuple[float, ...] | None = None
    """a, b, c, d, e, f of the affine map from column and row to the CRS; None without georeference."""
    bounds: tuple[float, ...] | None = None
    """West, south, east, north in degrees; None without georeference."""
    band_names: tuple[str | None, ...] | None = None
    """Descriptions of the bands."""
    orientation: int | None = None
    """Orientation of EXIF or TIFF, 2 to 8, if the picture must be turned.

    The size is that of the upright picture.
    """
    error: str | None = None
    """Why the header can't be read."""


MOST_BYTES = 2**63 - 1
"""The largest value of a column of the table; a header may declare more."""
SMALL_BYTES = 8 << 10
"""A file up to this size is read completely for its header: that is faster, and rasterio leaks some 300 bytes
of memory with each Python opener, which adds up over very many files.
"""
NO_IMAGE = Header(error="it is not a readable TIFF, PNG or JPEG")
NOT_RECOGNISED = "not recognized as being in a supported file format"
"""GDAL's message for a file that is not of the driver's format."""
GDAL_ERRORS = (RasterioError, ValueError, TypeError)
"""The errors that opening a file with a broken header raises."""


class _Handle(PositionedFile):
    """A handle of a file that GDAL opens more than once.

    It has its own position, and closing it does not close the file.

    An error can't pass through GDAL; it is stored, and GDAL sees the end of the file.
    """

    def __init__(self, file: IO[bytes], errors: list[Exception]) -> None:
        super().__init__(file.seek(0, io.SEEK_END))
        self._file = file
        self._errors = errors

    def read(self, size: int = -1, /) -> bytes:
        try:
            self._file.seek(self._position)
            data = self._file.read(size)
        except (OSError, OnboardingError) as error:
            self._errors.append(error)
            return b""
        self._position += len(data)
        return data


def read_header(
    file: IO[bytes], opened: Callable[[rasterio.DatasetReader, Header], None] | None = None
) -> Header:
    """Read the header of an image, and no more of the file than GDAL requests.

    Args:
        file: binary and seekable.
        opened: called with the image and its header while GDAL has it open; not if it can't be read.

    Returns:
        The header; its `error` says why it can't be read.

    Raises:
        OnboardingError: if reading the file raised it; an OSError becomes the `error` of the header instead.
    """
    errors: list[Exception] = []
    header = NO_IMAGE
    for driver in DRIVERS:
        header = _read_with(driver, file, errors, opened or _ignore)
        for error in errors:
            if isinstance(error, OnboardingError):
                raise error
            return Header(error=str(error))
        if header is not NO_IMAGE:
            break
    return header


_one_opener = threading.Lock()
"""rasterio keeps Python openers in a table of the process that is not thread-safe."""


def _ignore(image: rasterio.DatasetReader, header: Header) -> None:
    """Do nothing with an open image."""


def _read_with(
    driver: str,
    file: IO[bytes],
    errors: list[Exception],
    opened: Callable[[rasterio.DatasetReader, Header], None],
) -> Header:
    """Return the header as one driver reads it; NO_IMAGE if the file is not of its format."""
    name = f"{id(file):x}"
    handle = _Handle(file, errors)
    try:
        if handle.seek(0, io.SEEK_END) <= SMALL_BYTES:
            handle.seek(0)
            content = handle.read()
            if not content:
                return NO_IMAGE
            with (
                rasterio.Env(**GDAL_OPTIONS),
                MemoryFile(content, filename=name) as memory,
                open_in_memory(memory, driver=driver) as image,
            ):
                header = _header_of(image, handle)
                opened(image, header)
                return header
        with (
            _one_opener,
            rasterio.Env(**GDAL_OPTIONS),
            open_raster(name, driver=driver, opener=lambda *_, **__: _Handle(file, errors)) as image,
        ):
            header = _header_of(image, handle)
            if not errors:
                opened(image, header)
            return header
    except GDAL_ERRORS as error:
        return _broken_header(error, rf"(/vsi\w+/)?([\w-]+/)?{name}")


def open_image(path: Path) -> tuple[Header, rasterio.DatasetReader | None]:
    """Return the header of a local image, and the opened image; None if the header can't be read."""
    header = NO_IMAGE
    for driver in DRIVERS:
        try:
            image = open_raster(path, driver=driver)
            with path.open("rb") as file:
                return _header_of(image, file), image
        except GDAL_ERRORS as error:
            header = _broken_header(error, re.escape(str(path)))
        if header is not NO_IMAGE:
            break
    return header, None


def _broken_header(error: Exception, name: str) -> Header:
    """Return the header of a file that GDAL can't read.

    `name` is a pattern of its name in GDAL's messages.
    """
    if NOT_RECOGNISED in str(error):
        return NO_IMAGE
    reason = re.sub(name, "the file", str(error)).strip().rstrip(".")
    # Names of libtiff's functions, such as TIFFReadDirectory, say nothing to who has the file.
    is_internal = re.search(r"\bTIFF[A-Z]\w+", reason) is not None
    return Header(error="its header is damaged" if is_internal or not reason else reason)


def _header_of(image: Any, file: IO[bytes] | _Handle) -> Header:
    wkt = wkt_of(image)
    crs, epsg = _crs_and_code(wkt) if wkt else (None, None)
    placed = not image.transform.is_identity
    nodata = image.nodata
    pixel_bytes = sum(np.dtype(dtype).itemsize for dtype in image.dtypes)
    orientation = read_orientation(image, file)  # type: ignore[arg-type]
    size = (image.width, image.height)
    width, height = size[::-1] if orientation in SIDES_SWAPPED else size
    return Header(
        format=image.driver,
        width=width,
        height=height,
        bands=image.count,
        dtype=",".join(dict.fromkeys(image.dtypes)),
        image_bytes=min(image.width * image.height * pixel_bytes, MOST_BYTES),
        block_bytes=min(_block_pixels(image) * pixel_bytes, MOST_BYTES),
        nodata=None if nodata is None else float(nodata),
        crs=crs,
        epsg=epsg,
        transform=tuple(image.transform)[:6] if placed else None,
        bounds=degrees(wkt, tuple(image.bounds)) if placed and wkt else None,
        band_names=tuple(image.descriptions),
        orientation=orientation,
    )


def _block_pixels(image: Any) -> int:
    """Return the pixels that are decoded at once: of all bands if they are interleaved, else of one."""
    if image.driver != "GTiff":
        return image.width * image.height
    rows, columns = max(image.block_shapes, key=math.prod)
    together = image.interleaving is Interleaving.pixel
    return rows * columns if together else -(-rows * columns // image.count)


@lru_cache(maxsize=64)
def _crs_and_code(wkt: str) -> tuple[str, int | None]:
    epsg = rasterio.crs.CRS.from_wkt(wkt).to_epsg()
    return (f"EPSG:{epsg}" if epsg else wkt), epsg


def wkt_of(image: Any) -> str | None:
    """Return the CRS of an open image as WKT; None if it has none."""
    return image.crs.to_wkt() if image.crs else None


@lru_cache(maxsize=1024)
def degrees(wkt: str, bounds: tuple[float, ...]) -> tuple[float, ...] | None:
    """Return west, south, east and north in degrees; None where the CRS has no place for them.

    Remembered, as an image and its label, or two modalities, mostly have the same bounds.

    Args:
        wkt: the CRS.
        bounds: left, bottom, right and top in its unit.
    """
    left, bottom, right, top = bounds
    try:
        found = crs_transformer(wkt, 4326).transform_bounds(
            min(left, right), min(bottom, top), max(left, right), max(bottom, top)
        )
    except ProjError:
        return None
    return tuple(found) if all(map(math.isfinite, found)) else None


def file_row(name: str, role: Role, size: int, header: Header) -> dict[str, Any]:
    """Return a row of FILE_SCHEMA.

    Args:
        name: path relative to the dataset's folder.
        role: what the file is to its item.
        size: bytes of the file.
        header: what its first bytes declare.
    """
    return {"name": name, "bytes": size, **vars(role), **vars(header)}
