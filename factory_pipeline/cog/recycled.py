"""Large arrays whose memory is used again once nobody refers to them any more.

Memory that is new to the process takes longer to appear than to be filled, and a large array that is freed
goes back to the operating system.
"""

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_SMALLEST = 2**16
"""Bytes of an array that is worth it."""


class Recycler:
    """Makes arrays, for all threads; they may be kept as long as is wanted, also in part."""

    def __init__(self, kept: int) -> None:
        """Create it without any memory.

        Args:
            kept: bytes without an array that are kept for the next ones, at most.
        """
        self._kept = kept
        self._free: list[NDArray[np.uint8]] = []
        """The buffers without an array, the one that has waited longest first."""
        # An array may be forgotten, which locks too, while its thread is in here.
        self._lock = threading.RLock()

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of arbitrary contents.

        Args:
            shape: of the array.
            dtype: of its numbers.
        """
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size < _SMALLEST:
            return np.empty(shape, dtype)
        loan = _Loan(self._take(size), size, self._put_back)
        return np.asarray(loan).view(dtype).reshape(shape)

    def _take(self, size: int) -> NDArray[np.uint8]:
        """Return the smallest buffer that has room, but is not more than twice as large; else a new one."""
        with self._lock:
            fitting = [
                (buffer.nbytes, place)
                for place, buffer in enumerate(self._free)
                if size <= buffer.nbytes <= 2 * size
            ]
            if fitting:
                return self._free.pop(min(fitting)[1])
        return np.empty(size, np.uint8)

    def _put_back(self, buffer: NDArray[np.uint8]) -> None:
        with self._lock:
            self._free.append(buffer)
            while sum(free.nbytes for free in self._free) > self._kept:
                self._free.pop(0)


class _Loan:
    """A buffer that is in use: an array that is made of it, and all views of that, refer to this object."""

    def __init__(
        self, buffer: NDArray[np.uint8], size: int, put_back: Callable[[NDArray[np.uint8]], None]
    ) -> None:
        self._buffer = buffer
        self._put_back = put_back
        self.__array_interface__ = buffer[:size].__array_interface__

    def __del__(self) -> None:
        self._put_back(self._buffer)


RECYCLER = Recycler(kept=2**26)
"""Of the pixels that are cut and resampled."""
