"""From the bytes of a block to the pixels of its first band: the whole block, or its first rows alone.

Deflate is a stream: what windows need of the upper part of a block is in the first of its bytes, so that the
rest need be neither fetched nor inflated.
"""

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

WholeDecoder = Callable[[memoryview, int], NDArray[np.generic]]
"""From the bytes and the index of a block to its pixels (rows, columns)."""
TopDecoder = Callable[[memoryview, int], NDArray[np.generic] | None]
"""From the first bytes of a block and a number of rows to these rows (rows, columns); None where the bytes
don't reach so far."""

_DEFLATE = (8, 32946)
_HORIZONTAL, _FLOATING_POINT = 2, 3


def whole_decoder(page: Any, dtype: np.dtype) -> WholeDecoder:
    """The decoder of whole blocks: tifffile's.

    Args:
        page: a TiffPage.
        dtype: of the pixels, in native byte order.
    """
    decode_segment, tables = page.decode, page.jpegtables

    def decode(data: memoryview, index: int) -> NDArray[np.generic]:
        segment, _, shape = decode_segment(data, index, jpegtables=tables)
        if segment.shape != shape:
            raise ValueError(f"a block of shape {segment.shape}, not {shape}")
        return segment[0, :, :, 0].astype(dtype, copy=False)

    return decode


def top_decoder(page: Any, dtype: np.dtype, width: int, samples: int) -> TopDecoder | None:
    """The decoder of the first rows of blocks; None where the compression is not deflate.

    The checksum at the end of a stream is not seen, so that a damaged block may go unnoticed where its
    stream still makes sense; the same holds for any reader of TIFF that reads by rows.

    Args:
        page: a TiffPage.
        dtype: of the pixels, in native byte order.
        width: pixels in a row of a block.
        samples: bands that are stored in a block.
    """
    if page.compression not in _DEFLATE or page.dtype.kind == "b":
        return None
    bits, predictor = page.bitspersample, page.predictor
    row_bytes = -(-width * samples * bits // 8)
    stored = dtype.newbyteorder(page.parent.byteorder)

    def decode(data: memoryview, rows: int) -> NDArray[np.generic] | None:
        raw = isal_zlib.decompressobj().decompress(data, rows * row_bytes)
        if len(raw) < rows * row_bytes:
            return None
        if bits != 8 * dtype.itemsize:
            values = imagecodecs.packints_decode(raw, stored, bits, runlen=width * samples)
        elif predictor == _FLOATING_POINT:
            # Its bytes lie in an order of their own, whatever that of the file.
            values = np.frombuffer(raw, dtype).reshape(rows, width, samples)
            values = imagecodecs.floatpred_decode(values, axis=-2)
        else:
            values = np.frombuffer(raw, stored).astype(dtype, copy=False).reshape(rows, width, samples)
            if predictor == _HORIZONTAL:
                values = imagecodecs.delta_decode(values, axis=-2)
        return values.astype(dtype, copy=False).reshape(rows, width, samples)[:, :, 0]

    return decode
