"""Pixels whose numbers take no whole bytes, such as Sentinel-2's of 15 bits, unpacked only where windows are.

Unpacking a block takes a third as long as inflating it, and a few windows need a small part of it.
"""

from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

_NUMBERS_TOGETHER = 8
"""Numbers that together take whole bytes, however many bits each has."""


@dataclass(frozen=True, eq=False)
class PackedPixels:
    """The pixels of a block of one band, as they are stored."""

    rows: NDArray[np.uint8]
    """(rows, bytes of a row)."""
    width: int
    """Pixels in a row."""
    bits: int
    """Of a number."""
    stored: np.dtype
    """Type of an unpacked number, in the byte order of the file."""

    @property
    def size(self) -> int:
        """Return the number of pixels."""
        return len(self.rows) * self.width

    def __getitem__(self, part: tuple[slice, slice]) -> NDArray[np.generic]:
        """Unpack the pixels of some rows and columns, both with a start and a stop: (rows, columns)."""
        rows, columns = part
        first = columns.start // _NUMBERS_TOGETHER
        last = -(-columns.stop // _NUMBERS_TOGETHER)
        before = first * _NUMBERS_TOGETHER
        packed = self.rows[rows, first * self.bits : last * self.bits]
        width = min(last * _NUMBERS_TOGETHER, self.width) - before
        numbers = self._unpack(packed, width)
        return numbers[:, columns.start - before : columns.stop - before]

    def unpack(self) -> NDArray[np.generic]:
        """Unpack all pixels: (rows, columns, 1)."""
        return self._unpack(self.rows, self.width)[..., None]

    def _unpack(self, packed: NDArray[np.uint8], width: int) -> NDArray[np.generic]:
        # Any, as the types of imagecodecs know bytes alone, though it takes every buffer.
        stored: Any = packed.reshape(-1)
        numbers = imagecodecs.packints_decode(stored, self.stored, self.bits, runlen=width)
        return numbers.reshape(len(packed), width).astype(self.stored.newbyteorder("="), copy=False)


BlockPixels = NDArray[np.generic] | PackedPixels
"""The pixels of a block or of its first rows: an array (rows, columns, bands in a block), or packed ones."""
