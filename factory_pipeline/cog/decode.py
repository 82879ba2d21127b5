"""From the bytes of a block to its pixels: of the full block, or of its first rows alone.

Deflate is a stream: the upper rows of a block need only the first of its bytes, so the rest is neither
fetched nor inflated.
"""

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

FullDecoder = Callable[[memoryview, int], NDArray[np.generic]]
"""From the bytes and the index of a block to its pixels (rows, columns, bands in a block)."""
TopDecoder = Callable[[memoryview, int], NDArray[np.generic] | None]
"""From the first bytes of a block and a number of rows to these rows (rows, columns, bands in a block).

None if the bytes end before them.
"""

_DEFLATE = (8, 32946)
_HORIZONTAL, _FLOATING_POINT = 2, 3


def full_decoder(page: Any, dtype: np.dtype) -> FullDecoder:
    """Return the decoder of full blocks: tifffile's.

    Args:
        page: a TiffPage.
        dtype: of the pixels, in native byte order.
    """
    decode_segment, tables = page.decode, page.jpegtables

    def decode(data: memoryview, index: int) -> NDArray[np.generic]:
        segment, _, shape = decode_segment(data, index, jpegtables=tables)
        if segment.shape != shape:
            raise ValueError(f"a block of shape {segment.shape}, not {shape}")
        return segment[0].astype(dtype, copy=False)

    return decode


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
            # Its bytes have an order of their own, whatever that of the file.
            values = np.frombuffer(raw, dtype).reshape(rows, width, samples)
            values = imagecodecs.floatpred_decode(values, axis=-2)
        else:
            values = np.frombuffer(raw, stored).astype(dtype, copy=False).reshape(rows, width, samples)
            if predictor == _HORIZONTAL:
                values = imagecodecs.delta_decode(values, axis=-2)
        return values.astype(dtype, copy=False).reshape(rows, width, samples)

    return decode
