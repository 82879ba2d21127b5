"""The bytes that were fetched last, for later calls that need the same ranges, or their first bytes.

Neighbouring batches often need the first rows of the same block, but not as many of them.
"""

import threading
from collections import OrderedDict


class RangeCache:
    """Ranges of files, as they were fetched; those that were not used for longest go first."""

    def __init__(self, limit: int) -> None:
        """Start empty.

        Args:
            limit: largest number of bytes that are kept; 0 keeps nothing.
        """
        self._limit = limit
        self._ranges: OrderedDict[tuple[str, int], memoryview] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, href: str, start: int, length: int) -> memoryview | None:
        """Return the bytes of a range, which the caller may release; None if it is not kept in this length.

        Args:
            href: unsigned address.
            start: position of the first byte.
            length: number of bytes.
        """
        with self._lock:
            data = self._ranges.get((href, start))
            if data is None or len(data) < length:
                return None
            self._ranges.move_to_end((href, start))
            return data[:length]

    def keep(self, href: str, start: int, data: memoryview) -> memoryview:
        """Keep the bytes of a range, if there is room; return them for the caller, who may release them.

        Args:
            href: unsigned address.
            start: position of the first byte.
            data: the bytes, which are the cache's from now on.
        """
        if len(data) > self._limit:
            return data
        with self._lock:
            replaced = self._ranges.pop((href, start), None)
            self._size += len(data) - (0 if replaced is None else len(replaced))
            self._ranges[href, start] = data
            while self._size > self._limit:
                self._size -= len(self._ranges.popitem(last=False)[1])
            return data[:]
