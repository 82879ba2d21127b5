"""Reading a GeoTIFF's header from the first bytes of the file.

Formats: TIFF 6.0 and BigTIFF, OGC GeoTIFF 1.1 (requirements on tie points, pixel scale, GeoKeys), and GDAL's
tag 42113 (no data). Everything that this module does not support is refused, so that GDAL can read it
instead.
"""

from dataclasses import dataclass, field
from typing import IO, Any, cast

import numpy as np
import tifffile
from affine import Affine
from numpy.typing import NDArray

from factory_pipeline.cog.decode import FullDecoder, TopDecoder, full_decoder, top_decoder
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.masks import find_mask_or_alpha
from factory_pipeline.positioned_file import PositionedFile

_MODEL_PIXEL_SCALE, _MODEL_TIE_POINT, _MODEL_TRANSFORMATION = 33550, 33922, 34264
_GEO_KEY_DIRECTORY, _GDAL_NODATA = 34735, 42113
_GT_MODEL_TYPE, _GT_RASTER_TYPE, _GEODETIC_CRS, _PROJECTED_CRS = 1024, 1025, 2048, 3072
_MODEL_PROJECTED, _MODEL_GEOGRAPHIC = 1, 2
_PIXEL_IS_POINT = 2

_JPEG, _LERC = 7, 34887
_COMPRESSIONS = {
    1: "none",
    5: "LZW",
    _JPEG: "JPEG",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    _LERC: "LERC",
    50000: "zstd",
}
_BANDS_TOGETHER = 1
_PREDICTORS = (1, 2, 3)
_TRIPLE_BITS = 24
_LARGEST_BLOCK = 64 * 2**20
LAYOUT_BYTES = 1024
"""What a layout takes beside its lists of blocks."""


class UnsupportedRasterError(Exception):
    """A raster that the block engine can't read; the message says why."""


class MissingBytesError(Exception):
    """The header continues in bytes that were not fetched yet."""

    def __init__(self, start: int, length: int) -> None:
        super().__init__(f"{length} bytes at {start}")
        self.start = start
        self.length = length


@dataclass(frozen=True, eq=False, slots=True)
class RasterLayout:
    """The position of a raster's bands on the ground and in the file.

    One per file, compared by identity.
    """

    href: str
    """Unsigned address."""
    grid: Grid
    """The grid of all pixels of the raster."""
    dtype: np.dtype
    """Type of a decoded pixel, in native byte order."""
    nodata: float | None
    """The nodata value; None if there is none or the dtype can't represent it."""
    block_height: int
    block_width: int
    block_bytes: int
    """Size of a decoded block, with all the bands that are stored in it."""
    bands: int
    """Bands of the raster."""
    bands_in_block: int
    """Bands that a block holds: all of them, or one."""
    offsets: NDArray[np.int64]
    """Position of every block in the file, band by band where each has blocks of its own, and row by row; 0
    where a block is sparse."""
    byte_counts: NDArray[np.int64]
    """Size of every block in bytes; 0 where a block is sparse."""
    file_size: int
    """Bytes; blocks beyond it are lost."""
    decode: FullDecoder
    decode_top: TopDecoder | None
    """None if only full blocks can be decoded."""
    blocks_across: int = field(init=False)
    """Blocks in a row of blocks."""
    blocks_per_band: int = field(init=False)
    """Blocks of all rows of blocks."""

    def __post_init__(self) -> None:
        across = -(-self.grid.width // self.block_width)
        object.__setattr__(self, "blocks_across", across)
        down = -(-self.grid.height // self.block_height)
        object.__setattr__(self, "blocks_per_band", across * down)

    @property
    def nbytes(self) -> int:
        """Return the bytes that the layout takes, its address aside."""
        return LAYOUT_BYTES + self.offsets.nbytes + self.byte_counts.nbytes

    @property
    def fill(self) -> float:
        """The value of all pixels of a sparse block."""
        return 0 if self.nodata is None else self.nodata


class HeaderBytes(PositionedFile):
    """A file of which only some ranges were fetched; reading others raises MissingBytesError."""

    def __init__(self, file_size: int) -> None:
        super().__init__(file_size)
        self._ranges: list[tuple[int, memoryview]] = []

    def add(self, start: int, data: memoryview) -> None:
        """Add a fetched range.

        Args:
            start: offset in the file of the range's first byte.
            data: the bytes.
        """
        self._ranges.append((start, data))

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the fetched ranges and return the number of bytes."""
        length = max(0, min(len(buffer), self.size - self._position))
        if length == 0:
            return 0
        for start, data in self._ranges:
            begin = self._position - start
            if begin >= 0 and begin + length <= len(data):
                buffer[:length] = data[begin : begin + length]
                self._position += length
                return length
        raise MissingBytesError(self._position, length)


def parse_header(href: str, header: HeaderBytes) -> RasterLayout:
    """Return the layout of a file's first image.

    Args:
        href: unsigned address of the file.
        header: the ranges that were fetched so far.

    Raises:
        MissingBytesError: more of the file is needed; add it and call again.
        UnsupportedRasterError: not a TIFF, or one of a kind that the block engine can't read.
    """
    header.seek(0)
    try:
        with tifffile.TiffFile(cast(IO[bytes], header), name="header") as tiff:
            if marks := find_mask_or_alpha(tiff):
                raise UnsupportedRasterError(f"{marks} defines which of its pixels hold data")
            return _layout(href, tiff.pages.first, header.size)
    except (MissingBytesError, UnsupportedRasterError):
        raise
    except tifffile.TiffFileError as error:
        raise UnsupportedRasterError("it is not a TIFF file") from error
    except Exception as error:  # a damaged header may raise anything
        raise UnsupportedRasterError(f"its header can't be read ({type(error).__name__})") from error


def _layout(href: str, page: Any, file_size: int) -> RasterLayout:
    dtype = _check_pixels(page)
    height, width = page.imagelength, page.imagewidth
    grid = Grid.from_transform(_epsg(page), _transform(page), width, height)
    block_height = page.tilelength if page.is_tiled else min(page.rowsperstrip, height)
    block_width = page.tilewidth if page.is_tiled else width
    bands = page.samplesperpixel
    samples = bands if page.planarconfig == _BANDS_TOGETHER else 1
    block_bytes = block_height * block_width * dtype.itemsize * samples
    if block_bytes > _LARGEST_BLOCK:
        raise UnsupportedRasterError("it has no internal tiles")
    count = -(-height // block_height) * -(-width // block_width) * (bands // samples)
    offsets = np.asarray(page.dataoffsets, dtype=np.int64)[:count]
    byte_counts = np.asarray(page.databytecounts, dtype=np.int64)[:count]
    if len(offsets) != count or len(byte_counts) != count:
        raise UnsupportedRasterError("its list of blocks is incomplete")
    sparse = (offsets == 0) | (byte_counts == 0)
    return RasterLayout(
        href=href,
        grid=grid,
        dtype=dtype,
        nodata=_nodata(page, dtype),
        block_height=block_height,
        block_width=block_width,
        block_bytes=block_bytes,
        bands=bands,
        bands_in_block=samples,
        offsets=np.where(sparse, 0, offsets),
        byte_counts=np.where(sparse, 0, byte_counts),
        file_size=file_size,
        decode=full_decoder(page, dtype, block_height, block_width, samples),
        decode_top=top_decoder(page, dtype, block_width, samples),
    )


def _check_pixels(page: Any) -> np.dtype:
    """Return the dtype of a decoded pixel."""
    if page.compression not in _COMPRESSIONS:
        raise UnsupportedRasterError(f"its compression ({int(page.compression)}) is not supported")
    if page.predictor not in _PREDICTORS or page.fillorder != 1 or page.imagedepth != 1:
        raise UnsupportedRasterError("its pixels are stored in an unusual order")
    if page.compression == _JPEG and page.samplesperpixel != 1:
        raise UnsupportedRasterError("its JPEG blocks hold several bands")
    bits, dtype = page.bitspersample, page.dtype
    if dtype is None or not isinstance(bits, int) or dtype.kind not in "buif":
        raise UnsupportedRasterError("its data type is not supported")
    whole = bits == dtype.itemsize * 8
    if dtype.kind == "b":
        dtype, whole = np.dtype(np.uint8), False
    if not whole and (dtype.kind != "u" or page.predictor != 1):
        raise UnsupportedRasterError(f"its samples of {bits} bits are not supported")
    if bits == _TRIPLE_BITS and page.parent.byteorder == ">":
        # Their bytes are swapped as those of whole numbers; `packints_decode` doesn't swap them back.
        raise UnsupportedRasterError("its samples of 24 bits are stored with the highest byte first")
    if page.compression == _LERC and dtype.kind == "f":
        # Writers leave NaN to LERC's mask of each block, without which the codec gives 0 there.
        raise UnsupportedRasterError("its LERC blocks may hold a mask of the pixels without data")
    if dtype == np.float16:
        raise UnsupportedRasterError("its data type is not supported")
    return dtype.newbyteorder("=")


def _transform(page: Any) -> Affine:
    """Return the affine transform of pixel corners, as GDAL reports it."""
    matrix = _tag(page, _MODEL_TRANSFORMATION)
    scale, tie = _tag(page, _MODEL_PIXEL_SCALE), _tag(page, _MODEL_TIE_POINT)
    if scale is not None and tie is not None and len(tie) == 6:
        column, row, _, x, y, _ = tie
        if scale[1] <= 0:
            raise UnsupportedRasterError("its rows run from south to north")
        transform = Affine(scale[0], 0, x - column * scale[0], 0, -scale[1], y + row * scale[1])
    elif matrix is not None and len(matrix) == 16:
        transform = Affine(matrix[0], matrix[1], matrix[3], matrix[4], matrix[5], matrix[7])
    else:
        raise UnsupportedRasterError("it has no affine georeferencing")
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise UnsupportedRasterError("it is rotated or not north-up")
    if _geo_keys(page).get(_GT_RASTER_TYPE) == _PIXEL_IS_POINT:
        transform = Affine(
            transform.a, 0, transform.c - 0.5 * transform.a, 0, transform.e, transform.f - 0.5 * transform.e
        )
    return transform


def _epsg(page: Any) -> int:
    keys = _geo_keys(page)
    model = keys.get(_GT_MODEL_TYPE)
    code = {
        _MODEL_PROJECTED: keys.get(_PROJECTED_CRS),
        _MODEL_GEOGRAPHIC: keys.get(_GEODETIC_CRS),
    }.get(model or 0)
    if code is None or not 1024 <= code < 32767:
        raise UnsupportedRasterError("its coordinate reference system has no EPSG code")
    return code


def _geo_keys(page: Any) -> dict[int, int]:
    """Return the GeoKeys whose value is a short."""
    directory = _tag(page, _GEO_KEY_DIRECTORY) or ()
    entries = [directory[start : start + 4] for start in range(4, len(directory) - 3, 4)]
    return {int(key): int(value) for key, location, _, value in entries if location == 0}


def _nodata(page: Any, dtype: np.dtype) -> float | None:
    text = page.tags.valueof(_GDAL_NODATA)
    if text is None:
        return None
    try:
        value = float(str(text).strip("\0 "))
    except ValueError:
        return None
    if dtype.kind == "f":
        return float(dtype.type(value))
    limits = np.iinfo(dtype)
    return value if value.is_integer() and limits.min <= value <= limits.max else None


def _tag(page: Any, code: int) -> tuple[Any, ...] | None:
    value = page.tags.valueof(code)
    return None if value is None else tuple(np.atleast_1d(value).tolist())
