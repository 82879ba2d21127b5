"""Arrays for intermediate results that a thread uses again and again.

An array of some hundred kilobytes that is allocated anew is fresh memory of the operating system: its pages
take several times longer to appear than to be filled with numbers.
"""

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGEST_KEPT = 2**20
"""Bytes of an array that is kept for the next use, unless more are asked for."""


class Scratch(threading.local):
    """Named arrays, for each thread its own; they are freed when the thread ends."""

    def __init__(self, largest: int = _LARGEST_KEPT) -> None:
        """Create arrays for the calling thread, and others for each thread that asks.

        Args:
            largest: bytes of an array that is kept.
        """
        self._largest = largest
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def empty(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """Return an array of arbitrary contents; it is overwritten once the name is used again.

        Args:
            name: of the array.
            shape: of the array.
            dtype: of its numbers.
        """
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size > self._largest:
            return np.empty(shape, dtype)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.nbytes < size:
            buffer = self._buffers[name] = np.empty(size, np.uint8)
        return buffer[:size].view(dtype).reshape(shape)
