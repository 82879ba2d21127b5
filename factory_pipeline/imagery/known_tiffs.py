"""Reading TIFFs of a layout that GDAL has read before, without GDAL.

Opening a file costs GDAL about a millisecond, and the images of a dataset say the same in their headers,
except where they lie. What GDAL reports of the first file of a layout holds for the others; their place is
computed as GDAL does, and their pixels are decoded here. Both are first done for a file that GDAL reads too,
and only where the results are exactly the same, they are done for others. What is unusual is left to GDAL.
"""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from operator import add
from pathlib import Path
from typing import IO, Any

import imagecodecs
import numpy as np
import rasterio
from numpy.typing import NDArray

from factory_pipeline.cog.lzw_streams import check_lzw
from factory_pipeline.imagery.headers import Header, degrees, read_header, wkt_of
from factory_pipeline.imagery.pixels import Strip, cut_strips, strips
from factory_pipeline.imagery.tiff_directory import TiffDirectory, read_directory

MOST_LAYOUTS = 64
"""Layouts that are remembered, those used last."""
MOST_BYTES = 32 << 20
"""Of the decoded pixels of a file."""
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_SAMPLES, _ROWS_PER_STRIP, _PLANAR, _PREDICTOR = 277, 278, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT, _SCALE = 322, 323, 339, 33550
_YCBCR, _BANDS_TOGETHER, _HORIZONTAL = 6, 1, 2
_KINDS = {1: "u", 2: "i", 3: "f"}


def _decode_lzw(data: Any, size: int) -> Any:
    check_lzw(data)
    return imagecodecs.lzw_decode(data, out=size)


_DECODERS: dict[int, Callable[[Any, int], Any]] = {
    1: lambda data, _: data,
    5: _decode_lzw,
    8: lambda data, size: imagecodecs.zlib_decode(data, out=size),
    32946: lambda data, size: imagecodecs.zlib_decode(data, out=size),
}
"""By TIFF's number of a compression: from the bytes of a block, and their number when decoded."""


@dataclass
class _Layout:
    """What holds for all files of one layout."""

    header: Header
    """Of the file that GDAL read."""
    wkt: str | None
    shift: float | None
    """Pixels from the place of the tie point to the corner of its pixel: 0, or a half if places are those of
    centres; None if the layout contains the place, as all that there is."""
    nodata: tuple[float | None, ...]
    block_rows: int
    decodes: bool | None = None
    """Whether pixels as they are decoded here are GDAL's; None until a file was decoded by both."""


@dataclass
class _Layouts:
    """The layouts of this process; threads may use them at the same time."""

    found: OrderedDict[tuple[object, ...], _Layout] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, directory: TiffDirectory) -> _Layout | None:
        with self.lock:
            layout = self.found.get(directory.layout)
            if layout is not None:
                self.found.move_to_end(directory.layout)
            return layout

    def add(self, directory: TiffDirectory, layout: _Layout) -> None:
        with self.lock:
            self.found.setdefault(directory.layout, layout)
            while len(self.found) > MOST_LAYOUTS:
                self.found.popitem(last=False)


_LAYOUTS = _Layouts()


def quick_header(file: IO[bytes]) -> Header:
    """As `headers.read_header`, without GDAL for a file of a layout that it has read before."""
    try:
        directory = read_directory(file)
    except OSError:
        directory = None
    if directory is None:
        return read_header(file)
    layout = _LAYOUTS.get(directory)
    if layout is not None:
        return _placed_header(layout, directory)
    return read_header(file, partial(_learn, directory))


@dataclass(frozen=True)
class KnownTiff:
    """A TIFF of a known layout."""

    header: Header
    _layout: _Layout
    _directory: TiffDirectory
    _content: bytes

    def strips(self) -> Iterator[Strip] | None:
        """Return its pixels as `pixels.strips_of` does; None where GDAL must decode them."""
        if not self._layout.decodes:
            return None
        values = _try_to_decode(self._directory, self._content)
        return None if values is None else cut_strips(values, self._layout.block_rows, self._layout.nodata)


def known_tiff(content: bytes) -> KnownTiff | None:
    """Return a TIFF of a layout that GDAL has read before; None for any other file.

    Args:
        content: of the file.
    """
    directory = read_directory(io.BytesIO(content))
    layout = None if directory is None else _LAYOUTS.get(directory)
    if directory is None or layout is None:
        return None
    return KnownTiff(_placed_header(layout, directory), layout, directory, content)


def quick_strips(path: Path, bands: int | None = None, dtype: np.dtype | None = None) -> Iterator[Strip]:
    """As `pixels.strips`, without GDAL for a file of a layout that it has read before.

    Args:
        path: a raster that GDAL reads.
        bands: number of bands that it must have, if any.
        dtype: data type that it must have, if any.

    Yields:
        As `pixels.strips`.

    Raises:
        OnboardingError: as `pixels.strips`.
    """
    try:
        known = known_tiff(path.read_bytes()) if path.stat().st_size <= MOST_BYTES else None
    except OSError:
        known = None  # GDAL says why
    found = None if known is None else known.strips()
    if (
        known is None
        or found is None
        or bands not in (None, known.header.bands)
        or dtype not in (None, known.header.dtype)
    ):
        found = strips(path, bands, dtype)
    yield from found


def remember_tiff(content: bytes, image: rasterio.DatasetReader, header: Header) -> None:
    """Remember what GDAL reports of a file, for others of its layout.

    Args:
        content: of the file.
        image: the file as GDAL opened it; its pixels were read without an error.
        header: as `headers.open_image` returned it.
    """
    directory = read_directory(io.BytesIO(content))
    if directory is None:
        return
    _learn(directory, image, header)
    layout = _LAYOUTS.get(directory)
    if layout is None or layout.decodes is not None or (header.image_bytes or 0) > MOST_BYTES:
        return
    values, expected = _try_to_decode(directory, content), image.read()
    layout.decodes = (
        values is not None and values.dtype == expected.dtype and values.tobytes() == expected.tobytes()
    )


def _learn(directory: TiffDirectory, image: rasterio.DatasetReader, header: Header) -> None:
    if header.error is not None or image.driver != "GTiff":
        return
    for shift in (None,) if directory.tie_point is None else (0.0, 0.5):
        layout = _Layout(header, wkt_of(image), shift, tuple(image.nodatavals), image.block_shapes[0][0])
        if _placed_header(layout, directory) == header:
            _LAYOUTS.add(directory, layout)
            return


def _placed_header(layout: _Layout, directory: TiffDirectory) -> Header:
    """Return the header of a file of a layout, at its own place."""
    header, tie = layout.header, directory.tie_point
    if layout.shift is None or tie is None or header.transform is None or header.bounds is None:
        return header
    column, row, _, x, y, _ = tie
    a, b, _, d, e, _ = header.transform
    left, top = x - column * a, y - row * e
    if layout.shift:
        left, top = left - (a * layout.shift + b * layout.shift), top - (d * layout.shift + e * layout.shift)
    width, height = header.width or 0, header.height or 0
    bounds = (left, top + e * height, left + a * width, top)
    if layout.wkt:
        return replace(header, transform=(a, b, left, d, e, top), bounds=degrees(layout.wkt, bounds))
    return replace(header, transform=(a, b, left, d, e, top))


def _try_to_decode(directory: TiffDirectory, content: bytes) -> NDArray[np.generic] | None:
    """Return (bands, rows, columns) the pixels of a TIFF; None for a damaged or unusual one."""
    try:
        return _decode(directory, memoryview(content))
    except (ValueError, KeyError, IndexError, RuntimeError):
        return None


def _decode(directory: TiffDirectory, content: memoryview) -> NDArray[np.generic] | None:
    """Return (bands, rows, columns) the pixels of a TIFF; None if they are stored in an unusual way."""

    def number(tag: int, usual: int) -> int:
        values = directory.numbers(tag)
        return int(values[0]) if values else usual

    bits, samples = directory.numbers(_BITS) or (1,), number(_SAMPLES, 1)
    decoder = _DECODERS.get(number(_COMPRESSION, 1))
    predictor, formats = number(_PREDICTOR, 1), directory.numbers(_SAMPLE_FORMAT) or (1,)
    usual = (
        decoder is not None
        and len(set(bits)) == len(set(formats)) == 1
        and bits[0] in (8, 16, 32, 64)
        and predictor in (1, _HORIZONTAL)
        and number(_FILL_ORDER, 1) == 1
        and number(_PHOTOMETRIC, 1) != _YCBCR
    )
    kind = _KINDS.get(int(formats[0]))
    if not usual or decoder is None or kind is None or (kind == "f" and (predictor != 1 or bits[0] < 32)):
        return None
    stored = np.dtype(f"{directory.order}{kind}{int(bits[0]) // 8}")
    width, height = number(_WIDTH, 0), number(_HEIGHT, 0)
    tiled = _TILE_WIDTH in directory.values
    block_width = number(_TILE_WIDTH, 0) if tiled else width
    block_height = number(_TILE_HEIGHT, 0) if tiled else min(number(_ROWS_PER_STRIP, height), height)
    together = number(_PLANAR, _BANDS_TOGETHER) == _BANDS_TOGETHER
    in_block = samples if together else 1
    across, down = -(-width // block_width), -(-height // block_height)
    if len(directory.offsets) != across * down * (1 if together else samples):
        return None
    pixels = np.empty((samples, height, width), stored.newbyteorder("="))
    blocks = list(zip(directory.offsets, directory.byte_counts, strict=True))
    if decoder is _DECODERS[1] and not tiled and _are_adjacent(directory) and (together or samples == 1):
        # As one strip: it takes longer to look at small ones than to copy them.
        blocks, block_height = [(directory.offsets[0], sum(directory.byte_counts))], height
        down = 1
    for block, (start, count) in enumerate(blocks):
        band, at = divmod(block, across * down)
        top, left = at // across * block_height, at % across * block_width
        rows = block_height if tiled else min(block_height, height - top)
        size = rows * block_width * in_block * stored.itemsize
        raw = decoder(content[start : start + count], size)
        if len(raw) != size:
            return None
        values = np.frombuffer(raw, stored).reshape(rows, block_width, in_block)
        if predictor == _HORIZONTAL:
            values = imagecodecs.delta_decode(values.astype(pixels.dtype, copy=False), axis=-2)
        part = values[: height - top, : width - left].transpose(2, 0, 1)
        target = pixels if together else pixels[band : band + 1]
        target[:, top : top + part.shape[1], left : left + part.shape[2]] = part
    return pixels


def _are_adjacent(directory: TiffDirectory) -> bool:
    """Return whether the blocks of a file follow one another without a gap."""
    return directory.offsets[1:] == tuple(map(add, directory.offsets, directory.byte_counts))[:-1]
