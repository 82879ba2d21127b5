"""One chunk, to and from the bytes that HDF5's filters store: shuffle, and then deflate or zstd.

libdeflate is faster than the zlib behind HDF5's own filter, and smaller at the same level. The codecs release
the GIL. ISA-L would be three times as fast again at its lowest level, but its bytes depend on the processor.
"""

import struct
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.scratch import Scratch

LEVEL = 4
"""Of deflate. A higher one costs a third more time for a saving of a percent."""
_FAST_LEVEL = 1
"""Three quarters of the time of LEVEL, for chunks that are 2 to 3 percent larger."""
_NOISE = 0.95
"""A plane whose slices shrink to no less than this share is stored as it is."""
_SAMPLE_SLICES, _SLICE = 16, 4096
"""What is compressed to find out: slices of so many bytes, spread over the plane."""
_ZLIB_HEADER = b"\x78\x01"
_LARGEST_STORED = 0xFFFF
"""Bytes of a stored block (RFC 1951)."""
_NUMBERS_AT_ONCE = 2**15
"""Numbers that are shuffled at a time, so that they stay in the processor's cache."""
_SCRATCH = Scratch(largest=2**24)

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
    """Do as `encode_chunk`, for large rasters: in a way that saves time rather than bytes.

    The low bytes of measured numbers are noise, on which a compressor spends most of its time and saves
    nothing. They come first in a shuffled chunk: those planes are stored as they are, the others deflated.
    """
    planes = _shuffle(values)
    noisy = 0
    while noisy < len(planes) and _is_noise(planes[noisy]):
        noisy += 1
    if noisy == 0:
        return bytes(imagecodecs.deflate_encode(planes, level=_FAST_LEVEL))
    stored = _stored_blocks(memoryview(planes[:noisy]).cast("B"))
    # Of no planes it is the empty block that ends a stream.
    deflated = imagecodecs.deflate_encode(planes[noisy:], level=_FAST_LEVEL, raw=True)
    return b"".join((_ZLIB_HEADER, *stored, deflated, struct.pack(">I", imagecodecs.deflate_adler32(planes))))


def _is_noise(plane: Any) -> bool:
    """Return whether compressing a plane of bytes would save next to nothing, by a sample of it."""
    apart = plane.size // _SAMPLE_SLICES
    if apart < _SLICE:
        return False
    # Each slice by itself: slices that are far apart in the plane would be found to repeat each other.
    slices = (plane[start : start + _SLICE] for start in range(0, apart * _SAMPLE_SLICES, apart))
    made = sum(len(imagecodecs.deflate_encode(part, level=_FAST_LEVEL, raw=True)) for part in slices)
    return made >= _NOISE * _SAMPLE_SLICES * _SLICE


def _stored_blocks(data: memoryview) -> list[bytes | memoryview]:
    """Return bytes as blocks of a deflate stream that are not its last; they end at a whole byte."""
    parts: list[bytes | memoryview] = []
    for start in range(0, len(data), _LARGEST_STORED):
        block = data[start : start + _LARGEST_STORED]
        parts += [struct.pack("<BHH", 0, len(block), len(block) ^ _LARGEST_STORED), block]
    return parts


def _shuffle(values: NDArray[np.generic]) -> Any:
    """Return the planes of bytes of numbers, which the thread's next call overwrites."""
    # Any, as the types of imagecodecs know bytes alone, though it takes every buffer.
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.itemsize == 1:
        return flat.view(np.uint8)[None]
    if flat.itemsize not in (2, 4, 8):
        return np.ascontiguousarray(flat.view(np.uint8).reshape(-1, flat.itemsize).T)
    # Shifts whose lowest byte is kept are vectorized: they take a fifth (two bytes) to a half (four bytes)
    # of the time of a transposed copy, which takes a third of that of imagecodecs' byteshuffle.
    numbers = flat.view(f"<u{flat.itemsize}")
    shuffled = _SCRATCH.empty("shuffled", (flat.itemsize, flat.size), np.uint8)
    for start in range(0, flat.size, _NUMBERS_AT_ONCE):
        some = numbers[start : start + _NUMBERS_AT_ONCE]
        shifted = _SCRATCH.empty("shifted", some.shape, some.dtype)
        for place, plane in enumerate(shuffled[:, start : start + _NUMBERS_AT_ONCE]):
            wanted = np.right_shift(some, 8 * place, out=shifted) if place else some
            np.copyto(plane, wanted, casting="unsafe")
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
