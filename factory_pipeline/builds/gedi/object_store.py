"""Granules in an object store: listing a prefix, and a file object that h5py can read through."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import obstore
import obstore.exceptions

from factory_pipeline import redaction
from factory_pipeline.errors import GranuleUnavailableError
from factory_pipeline.positioned_file import PositionedFile
from factory_pipeline.storage.object_store import open_store

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from typing_extensions import Buffer

BLOCK_SIZE = 1 << 20
"""Bytes per request."""
CACHED_BLOCKS = 64
"""Blocks of a file that are kept in memory."""


def is_url(source: str) -> bool:
    """Return whether a source of granules is an object-store prefix and not a folder."""
    return "://" in source


def display(source: str) -> str:
    """Return a source as it may be shown: without user, password and query, which may carry credentials."""
    if not is_url(source):
        return f"The folder {source}"
    return f"The object-store prefix {redaction.display(source)}"


def describe(error: Exception) -> str:
    """Return the first line of an error of the object store, without the addresses in it."""
    return redaction.hide_addresses(str(error).partition("\n")[0]).rstrip(".")


def list_objects(source: str) -> tuple[Sequence["ObjectMeta"], Sequence[str]]:
    """Return the objects that are directly under an object-store prefix, and the prefixes below it.

    Raises:
        GranuleUnavailableError: the URL is of no known kind, or the store does not answer or refuses.
    """
    try:
        listed = obstore.list_with_delimiter(open_store(source))
        return listed["objects"], listed["common_prefixes"]
    except obstore.exceptions.BaseError as error:
        raise GranuleUnavailableError(f"{display(source)} can't be listed: {describe(error)}.") from error


class RangeFile(PositionedFile):
    """A file in an object store, read in blocks of BLOCK_SIZE that are fetched once.

    HDF5 jumps back and forth in small steps. `obstore.open_reader` drops its buffer at each jump: for the
    eleven fields of a granule that took 247 requests of 1 MB where blocks that are kept take 56.
    """

    def __init__(self, source: str, name: str, size: int) -> None:
        """Open the file `name` of `size` bytes under the prefix `source`; nothing is fetched yet."""
        super().__init__(size)
        self._store = open_store(source)
        self._name = name
        self._block = lru_cache(maxsize=CACHED_BLOCKS)(self._fetch)

    def _fetch(self, index: int) -> memoryview:
        start = index * BLOCK_SIZE
        end = min(start + BLOCK_SIZE, self.size)
        return memoryview(obstore.get_range(self._store, self._name, start=start, end=end))

    def readinto(self, buffer: "Buffer", /) -> int:
        """Fill the buffer up to the end of the file.

        Raises:
            obstore.exceptions.BaseError: a block can't be fetched.
        """
        target = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(target) and self._position < self.size:
            index, offset = divmod(self._position, BLOCK_SIZE)
            part = self._block(index)[offset : offset + len(target) - filled]
            target[filled : filled + len(part)] = part
            filled += len(part)
            self._position += len(part)
        return filled
