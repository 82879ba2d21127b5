"""Where an archive comes from: one interface for reading parts of it, whatever holds it."""

import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from factory_pipeline.errors import OnboardingError
from factory_pipeline.positioned_file import PositionedFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

PIECE_BYTES = 1 << 20
"""Bytes that a stream gives at a time."""


SMALL_BYTES = 1 << 20
"""A remote archive up to this size is fetched by one request: a hundred small ones would bring as much."""


class ArchiveSource(ABC):
    """An archive at its place. `read` may be called from several threads at once."""

    url: str
    """The address as it may be shown."""
    size: int | None
    """Bytes of the archive; None where the host does not say."""
    ranged: bool = True
    """Whether the host can serve parts of the file."""
    local: bool = False
    """Whether reading costs no network."""
    version: str = ""
    """What the host says of the state of the file, such as an ETag; empty where it says nothing."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._lock = threading.Lock()
        self._bytes_read = 0
        self._fetching = threading.Lock()
        self._content = b""

    @property
    def bytes_read(self) -> int:
        """Bytes of content that were received so far."""
        return self._bytes_read

    def read(self, start: int, length: int) -> bytes:
        """The bytes from `start`, fewer than `length` only at the end of the file.

        Raises:
            OnboardingError: RANGES_UNSUPPORTED, URL_UNREACHABLE, SOURCE_CHANGED.
        """
        if not self.ranged or self.size is None:
            raise OnboardingError(
                "RANGES_UNSUPPORTED",
                f"The host of {self.url} can't serve parts of a file, so nothing is known of the archive"
                " before it is downloaded.",
            )
        length = min(length, self.size - start)
        if length <= 0:
            return b""
        if not self.local and self.size <= SMALL_BYTES:
            return self._whole(self.size)[start : start + length]
        return self._counted(self._whole_part(start, length))

    def _whole_part(self, start: int, length: int) -> bytes:
        """Bytes of the file, all that were asked for: with fewer, an archive would seem to be broken."""
        data = self._read(start, length)
        if len(data) != length:
            raise OnboardingError(
                "SOURCE_CHANGED" if self.local else "URL_UNREACHABLE",
                f"{self.url} gave {len(data)} of {length} bytes from {start}; it was cut while it was read.",
            )
        return data

    def stream(self, start: int = 0) -> Iterator[bytes]:
        """All bytes from `start`, in order; a host without ranges starts from 0 only.

        Raises:
            OnboardingError: URL_UNREACHABLE, also midway.
        """
        for piece in self._stream(start):
            yield self._counted(piece)

    def close(self) -> None:  # noqa: B027
        """Free what is held open."""

    @abstractmethod
    def _read(self, start: int, length: int) -> bytes: ...

    @abstractmethod
    def _stream(self, start: int) -> Iterator[bytes]: ...

    def _whole(self, size: int) -> bytes:
        """All bytes of a small archive, asked for once."""
        with self._fetching:
            if not self._content:
                self._content = self._counted(self._whole_part(0, size))
        return self._content

    def _counted(self, data: bytes) -> bytes:
        with self._lock:
            self._bytes_read += len(data)
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LocalSource(ArchiveSource):
    """A file of this machine."""

    local = True

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            OnboardingError: URL_UNREACHABLE where it is missing, no file or can't be read.
        """
        super().__init__()
        self.url = str(path)
        self.path = path
        if path.exists() and not path.is_file():
            raise OnboardingError("URL_UNREACHABLE", f"{path} is not a file.")
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise OnboardingError("URL_UNREACHABLE", f"{path} can't be read: {error.strerror}.") from error
        self.size: int = os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _read(self, start: int, length: int) -> bytes:
        data = b""
        # One call gives 2 GiB at most.
        while piece := os.pread(self._descriptor, length - len(data), start + len(data)):
            data += piece
        return data

    def _stream(self, start: int) -> Iterator[bytes]:
        for offset in range(start, self.size, PIECE_BYTES):
            yield self._read(offset, PIECE_BYTES)


class SourceFile(PositionedFile):
    """A source as a file object, and some bytes behind it: small reads through kept blocks."""

    BLOCK_BYTES = 1 << 16
    KEPT_BLOCKS = 16

    def __init__(self, source: ArchiveSource, added: bytes = b"") -> None:
        """Nothing is read yet; `added` follows the bytes of the source."""
        self._source_size = source.size or 0
        super().__init__(self._source_size + len(added))
        self._source = source
        self._added = added
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readinto(self, buffer: "Buffer", /) -> int:
        """Fill the buffer up to the end of the file."""
        target = memoryview(buffer).cast("B")
        length = min(len(target), max(self.size - self._position, 0))
        of_source = min(length, max(self._source_size - self._position, 0))
        behind = max(self._position - self._source_size, 0)
        data = self._gather(self._position, of_source) + self._added[behind:][: length - of_source]
        target[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _gather(self, start: int, length: int) -> bytes:
        if length == 0 or length > self.BLOCK_BYTES:
            return self._source.read(start, length)
        first, last = start // self.BLOCK_BYTES, (start + length - 1) // self.BLOCK_BYTES
        data = b"".join(self._block(index) for index in range(first, last + 1))
        return data[start - first * self.BLOCK_BYTES :][:length]

    def _block(self, index: int) -> bytes:
        if index not in self._blocks:
            self._blocks[index] = self._source.read(index * self.BLOCK_BYTES, self.BLOCK_BYTES)
            if len(self._blocks) > self.KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return self._blocks[index]
