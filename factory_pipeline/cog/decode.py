"""From the bytes of a block to its pixels: of the full block, or of its first rows alone.

Deflate is a stream: the upper rows of a block need only the first of its bytes, so the rest is neither
fetched nor inflated.
"""

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from factory_pipeline.cog.lzw_streams import check_lzw
from factory_pipeline.cog.packed_pixels import BlockPixels, PackedPixels
from factory_pipeline.cog.scratch import Scratch

FullDecoder = Callable[[memoryview, int], BlockPixels]
"""From the bytes and the index of a block to its pixels."""
TopDecoder = Callable[[memoryview, int], BlockPixels | None]
"""From the first bytes of a block and a number of rows to the pixels of these rows.

None if the bytes end before them.
"""

_DEFLATE = (8, 32946)
_LZW = 5
_NO_PREDICTOR, _HORIZONTAL, _FLOATING_POINT = 1, 2, 3
_KINDS_SHARED = 64
"""Kinds of blocks whose decoders are kept: a collection has a few, each in thousands of files."""
_decoders: dict[object, FullDecoder] = {}
_SCRATCH = Scratch(largest=2**22)


def full_decoder(page: Any, dtype: np.dtype, height: int, width: int, samples: int) -> FullDecoder:
    """Return the decoder of full blocks: tifffile's, or a faster one of deflated tiles.

    Files whose blocks are of one kind share it: tifffile's refers to its page and all that was parsed of it.
    The pixels may be in an array that the thread's next block overwrites.

    Args:
        page: a TiffPage.
        dtype: of the pixels, in native byte order.
        height: rows of a block.
        width: pixels in a row of a block.
        samples: bands that are stored in a block.
    """
    if page.is_tiled and page.compression in _DEFLATE and page.predictor == _FLOATING_POINT:
        return _floating_point_decoder(dtype, height, width, samples)
    if page.is_tiled and page.compression in _DEFLATE and _has_whole_numbers(page, dtype):
        stored = dtype.newbyteorder(page.parent.byteorder)
        return _deflate_decoder(dtype, stored, page.predictor, height, width, samples)
    if page.is_tiled and page.compression in _DEFLATE and _is_packed(page, samples):
        stored = dtype.newbyteorder(page.parent.byteorder)
        return _packed_decoder(stored, page.bitspersample, height, width)
    kind = _kind_of_blocks(page), dtype
    decoder = _decoders.get(kind)
    if decoder is None:
        if len(_decoders) >= _KINDS_SHARED:
            _decoders.clear()
        decoder = _decoders[kind] = _decoder_of_tifffile(page, dtype)
    return decoder


def _kind_of_blocks(page: Any) -> tuple[object, ...]:
    """Return everything that tifffile's decoder of a page depends on (see `TiffPage.decode`)."""
    return (
        page.parent.tiff,
        page.shaped,
        page.is_tiled,
        page.rowsperstrip,
        (page.tiledepth, page.tilelength, page.tilewidth),
        page.samplesperpixel,
        page.planarconfig,
        page.sampleformat,
        page.bitspersample,
        page.fillorder,
        page.compression,
        page.predictor,
        page.photometric,
        page.extrasamples,
        page.subsampling,
        page.is_jfif,
        page.jpegtables,
    )


def _decoder_of_tifffile(page: Any, dtype: np.dtype) -> FullDecoder:
    decode_segment, tables = page.decode, page.jpegtables
    is_lzw, is_reversed = page.compression == _LZW, page.fillorder == 2

    def decode(data: memoryview, index: int) -> NDArray[np.generic]:
        if is_lzw:
            check_lzw(bytes(imagecodecs.bitorder_decode(bytes(data))) if is_reversed else data)
        segment, _, shape = decode_segment(data, index, jpegtables=tables)
        if segment.shape != shape:
            raise ValueError(f"a block of shape {segment.shape}, not {shape}")
        return segment[0].astype(dtype, copy=False)

    return decode


def _has_whole_numbers(page: Any, dtype: np.dtype) -> bool:
    """Return whether a page's numbers take whole bytes, with no predictor or that of integers."""
    predicted = page.predictor == _HORIZONTAL and dtype.kind in "iu"
    whole = page.bitspersample == 8 * dtype.itemsize and page.fillorder == 1
    return whole and dtype.kind in "iuf" and (page.predictor == _NO_PREDICTOR or predicted)


def _is_packed(page: Any, samples: int) -> bool:
    """Return whether a page's blocks are of one band whose numbers take no whole bytes."""
    packed = page.bitspersample < 8 * page.dtype.itemsize
    return packed and samples == 1 and page.dtype.kind == "u" and page.fillorder == 1


@lru_cache(_KINDS_SHARED)
def _packed_decoder(stored: np.dtype, bits: int, height: int, width: int) -> FullDecoder:
    row_bytes = -(-width * bits // 8)

    def decode(data: memoryview, _index: int) -> PackedPixels:
        rows = _inflate(data, height * row_bytes).reshape(height, row_bytes)
        return PackedPixels(rows, width, bits, stored)

    return decode


@lru_cache(_KINDS_SHARED)
def _deflate_decoder(
    dtype: np.dtype, stored: np.dtype, predictor: int, height: int, width: int, samples: int
) -> FullDecoder:
    def decode(data: memoryview, _index: int) -> NDArray[np.generic]:
        values = _inflate(data, height * width * samples * dtype.itemsize).view(stored)
        pixels = values.astype(dtype, copy=False).reshape(height, width, samples)
        if predictor == _HORIZONTAL:
            imagecodecs.delta_decode(pixels, axis=-2, out=pixels)
        return pixels

    return decode


@lru_cache(_KINDS_SHARED)
def _floating_point_decoder(dtype: np.dtype, height: int, width: int, samples: int) -> FullDecoder:
    def decode(data: memoryview, _index: int) -> NDArray[np.generic]:
        raw = _inflate(data, height * width * samples * dtype.itemsize)
        return _undo_floating_point(raw, dtype, (height, width, samples))

    return decode


def _inflate(data: Any, size: int) -> NDArray[np.uint8]:
    """Return the bytes of a block of a known size, which the thread's next block overwrites.

    Writing to memory that is new to the process takes longer than inflating.
    """
    # Any, as the types of imagecodecs know bytes alone, though it takes every buffer.
    room: Any = _SCRATCH.empty("raw", (size,), np.uint8)
    inflated: Any = imagecodecs.deflate_decode(data, out=room)
    if inflated.size != size:
        raise ValueError(f"a block of {inflated.size} bytes, not {size}")
    raw: NDArray[np.uint8] = inflated
    return raw


def top_decoder(page: Any, dtype: np.dtype, width: int, samples: int) -> TopDecoder | None:
    """Return the decoder of the first rows of blocks; None if the compression is not deflate.

    The checksum at the end of a stream is not read, so that a damaged block may go unnoticed if its stream
    still decodes; the same holds for any reader of TIFF that reads by rows.

    Args:
        page: a TiffPage.
        dtype: of the pixels, in native byte order.
        width: pixels in a row of a block.
        samples: bands that are stored in a block.
    """
    if page.compression not in _DEFLATE or page.dtype.kind == "b":
        return None
    stored = dtype.newbyteorder(page.parent.byteorder)
    return _deflate_top_decoder(dtype, stored, page.bitspersample, page.predictor, width, samples)


@lru_cache(_KINDS_SHARED)
def _deflate_top_decoder(
    dtype: np.dtype, stored: np.dtype, bits: int, predictor: int, width: int, samples: int
) -> TopDecoder:
    row_bytes = -(-width * samples * bits // 8)

    def decode(data: memoryview, rows: int) -> BlockPixels | None:
        raw = isal_zlib.decompressobj().decompress(data, rows * row_bytes)
        if len(raw) < rows * row_bytes:
            return None
        if bits != 8 * dtype.itemsize:
            packed_rows = np.frombuffer(raw, np.uint8).reshape(rows, row_bytes)
            packed = PackedPixels(packed_rows, width * samples, bits, stored)
            if samples == 1:
                return packed
            values = packed.unpack()
        elif predictor == _FLOATING_POINT:
            values = _undo_floating_point(raw, dtype, (rows, width, samples))
        else:
            values = np.frombuffer(raw, stored).astype(dtype, copy=False).reshape(rows, width, samples)
            if predictor == _HORIZONTAL:
                sums = _SCRATCH.empty("sums", values.shape, dtype)
                values = imagecodecs.delta_decode(values, axis=-2, out=sums)
        return values.astype(dtype, copy=False).reshape(rows, width, samples)

    return decode


def _undo_floating_point(
    raw: bytes | NDArray[np.uint8], dtype: np.dtype, shape: tuple[int, int, int]
) -> NDArray[np.generic]:
    """Return the numbers of rows that were stored with TIFF's predictor 3, whatever the file's byte order.

    A row has the highest byte of all numbers first, then all second ones and so on; each byte is stored as
    its difference from that of the pixel before. Copying plane by plane takes half the time of imagecodecs'
    `floatpred_decode`.

    Args:
        raw: bytes of the rows.
        dtype: of the numbers, in native byte order.
        shape: rows, columns, bands in a block.
    """
    rows, width, samples = shape
    stored = np.frombuffer(raw, np.uint8).reshape(rows, dtype.itemsize * width, samples)
    sums = _SCRATCH.empty("sums", stored.shape, np.uint8)
    planes = imagecodecs.delta_decode(stored, axis=-2, out=sums).reshape(rows, dtype.itemsize, -1)
    numbers = _SCRATCH.empty("numbers", (rows, width * samples, dtype.itemsize), np.uint8)
    for place in range(dtype.itemsize):
        numbers[..., place] = planes[:, -1 - place if sys.byteorder == "little" else place]
    return numbers.view(dtype).reshape(shape)
