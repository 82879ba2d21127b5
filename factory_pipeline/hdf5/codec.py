"""One chunk, to and from the bytes that HDF5's filters store: shuffle, and then deflate or zstd.

libdeflate is faster than the zlib behind HDF5's own filter, and smaller at the same level. The codecs release
the GIL. ISA-L would be three times as fast again at its lowest level, but its bytes depend on the processor.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

LEVEL = 4
"""Of deflate. A higher one costs a third more time for a saving of a percent."""
_FAST_LEVEL = 1
"""Three times as fast as LEVEL, for chunks that are 2 to 3 percent larger."""

Encode = Callable[[NDArray[np.generic]], bytes]
"""From the values of a chunk to its bytes."""

ZSTD_LEVEL = 3


class Compression(StrEnum):
    """How the rasters of a dataset file are stored."""

    NONE = "none"
    """As they are, one after the other: they are read by their place in the file, without decoding."""
    DEFLATE = "deflate"
    """A chunk per sample, shuffled and deflated: what every HDF5 library reads."""
    ZSTD = "zstd"
    """A chunk per sample, shuffled and compressed by zstd; h5py reads it with the package hdf5plugin."""


def encode_chunk(values: NDArray[np.generic], compression: Compression = Compression.DEFLATE) -> bytes:
    """Shuffle the bytes (all first bytes, then all second bytes, ...), then deflate (zlib format) or zstd.

    Args:
        values: of the chunk.
        compression: of a chunk, so not NONE.

    Returns:
        What is stored in the file.
    """
    if compression is Compression.ZSTD:
        return bytes(imagecodecs.zstd_encode(_shuffle(values), level=ZSTD_LEVEL))
    return bytes(imagecodecs.deflate_encode(_shuffle(values), level=LEVEL))


def encode_chunk_fast(values: NDArray[np.generic]) -> bytes:
    """Do as `encode_chunk`, for large rasters: at a level that saves time rather than bytes."""
    return bytes(imagecodecs.deflate_encode(_shuffle(values), level=_FAST_LEVEL))


def _shuffle(values: NDArray[np.generic]) -> Any:
    # Any, as the types of imagecodecs know bytes alone, though it takes every buffer.
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.itemsize not in (2, 4, 8):
        return np.ascontiguousarray(flat.view(np.uint8).reshape(-1, flat.itemsize).T)
    # Shifts whose lowest byte is kept are vectorized: they take a fifth (two bytes) to a half (four bytes)
    # of the time of a transposed copy, which takes a third of that of imagecodecs' byteshuffle.
    numbers = flat.view(f"<u{flat.itemsize}")
    shuffled = np.empty((flat.itemsize, flat.size), np.uint8)
    for place, plane in enumerate(shuffled):
        np.copyto(plane, numbers >> 8 * place if place else numbers, casting="unsafe")
    return shuffled


def decode_chunk(
    stored: bytes, out: NDArray[np.generic], compression: Compression = Compression.DEFLATE
) -> None:
    """Inflate and unshuffle numbers into `out`, which is contiguous and has the chunk's dtype and shape.

    Args:
        stored: stream of shuffled bytes.
        out: is written to.
        compression: of a chunk, so not NONE.

    Raises:
        ValueError: the bytes are no whole stream of this length.
    """
    flat = out.reshape(-1)
    decode = imagecodecs.zstd_decode if compression is Compression.ZSTD else imagecodecs.deflate_decode
    try:
        inflated = np.frombuffer(decode(stored, out=out.nbytes), flat.dtype)
    except (imagecodecs.DeflateError, imagecodecs.ZstdError) as error:
        raise ValueError(f"not a complete {compression} stream: {error}") from error
    if inflated.shape != flat.shape:
        raise ValueError(f"{inflated.nbytes} bytes instead of {flat.nbytes}")
    if flat.itemsize > 1:
        imagecodecs.byteshuffle_decode(inflated, out=flat)
    else:
        flat[:] = inflated
