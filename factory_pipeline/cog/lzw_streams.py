"""Streams of LZW in TIFFs that imagecodecs can decode without reading memory that is not its own.

Its decoder refuses a code that is not in its table yet, except for the first one after the table was cleared:
it looks that up in what the table had before, or in memory that nobody has written. A damaged block may then
kill the process: one in some thousands does.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_CLEAR, _END = 256, 257
_MOST_CODES = 3842
"""After a table was cleared: it is full then, and the decoder refuses another one."""
_WIDER_FROM = (254, 766, 1790)
"""Numbers of the codes after a table was cleared from which on they have 10, 11 and 12 bits."""


def check_lzw(data: memoryview | bytes) -> None:
    """Check that imagecodecs can decode a stream, or refuses it itself.

    Streams of TIFF's old style, whose lowest bits are first, are not checked.

    Raises:
        ValueError: the stream is damaged.
    """
    stream = np.frombuffer(data, np.uint8)
    if stream.size < 2 or stream[0] == 0:
        return
    begin, bits = 0, 8 * stream.size
    while True:
        first_bytes, shifts, masks, ends = _codes_from(begin % 8)
        count = int(np.searchsorted(ends, bits - begin, "right"))
        # Those of one table at a time: arrays of the whole stream would be new to the process.
        at = begin // 8
        words = np.zeros(first_bytes[-1] + 1, np.uint32)
        for byte in range(3):
            part = stream[at + byte : at + byte + words.size]
            words[: part.size] |= part.astype(np.uint32) << np.uint32(16 - 8 * byte)
        codes = words.take(first_bytes[:count])
        codes >>= shifts[:count]
        codes &= masks[:count]
        if begin and count and codes[0] > _END:
            raise ValueError("the table of a stream of LZW is used after it was cleared")
        clears_or_ends = (codes & ~np.uint32(1)) == _CLEAR
        place = int(clears_or_ends.argmax()) if count else 0
        if not count or not clears_or_ends[place] or codes[place] == _END:
            return
        begin += int(ends[place])


@lru_cache
def _codes_from(
    bit: int,
) -> tuple[NDArray[np.intp], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int64]]:
    """Return where the codes are that follow a cleared table, if the first begins at a bit of byte 0.

    Returns:
        Of each: its first byte; how far three bytes from there are shifted, and what masks them then; the bit
        that it ends before, counted from the begin of the first one.
    """
    widths = np.full(_MOST_CODES, 9)
    for number in _WIDER_FROM:
        widths[number:] += 1
    ends = np.cumsum(widths)
    begins = bit + ends - widths
    shifts = (24 - begins % 8 - widths).astype(np.uint32)
    return begins // 8, shifts, ((1 << widths) - 1).astype(np.uint32), ends
