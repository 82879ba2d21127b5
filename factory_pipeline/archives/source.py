"""One interface for reading parts of an archive, wherever it is stored."""

import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from factory_pipeline.errors import OnboardingError
from factory_pipeline.positioned_file import PositionedFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

PIECE_BYTES = 1 << 20
"""Bytes per chunk of a stream."""


SMALL_BYTES = 1 << 20
"""A remote archive up to this size is fetched by one request: many small ones would transfer as much."""


class ArchiveSource(ABC):
    """An archive at its address. `read` may be called from several threads at once."""

    url: str
    """The address without credentials, as it may be shown."""
    size: int | None
    """Bytes of the archive; None if the host does not say."""
    ranged: bool = True
    """Whether the host can serve parts of the file."""
    local: bool = False
    """Whether reading needs no network."""
    version: str = ""
    """What the host reports about the state of the file, such as an ETag; empty if it reports nothing."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._lock = threading.Lock()
        self._bytes_read = 0
        self._fetching = threading.Lock()
        self._content = b""

    @property
    def bytes_read(self) -> int:
        """Return the bytes of content that were received so far."""
        return self._bytes_read

    def read(self, start: int, length: int) -> bytes:
        """Return the bytes from `start`, fewer than `length` only at the end of the file.

        Args:
            start: first byte, from 0.
            length: bytes.

        Raises:
            OnboardingError: RANGES_UNSUPPORTED, URL_UNREACHABLE, SOURCE_CHANGED.
        """
        if not self.ranged or self.size is None:
            raise OnboardingError(
                "RANGES_UNSUPPORTED",
                f"The host of {self.url} can't serve parts of a file, so the archive can't be checked"
                " before it is downloaded.",
            )
        length = min(length, self.size - start)
        if length <= 0:
            return b""
        if not self.local and self.size <= SMALL_BYTES:
            return self._load(self.size)[start : start + length]
        return self._count_received(self._read_range(start, length))

    def _read_range(self, start: int, length: int) -> bytes:
        """Return all requested bytes of the file: with fewer, an archive would seem to be corrupt."""
        data = self._read(start, length)
        if len(data) != length:
            raise OnboardingError(
                "SOURCE_CHANGED" if self.local else "URL_UNREACHABLE",
                f"{self.url} sent {len(data)} of {length} bytes from {start}; it was truncated while it was"
                " read.",
            )
        return data

    def stream(self, start: int = 0) -> Iterator[bytes]:
        """Yield all bytes from `start`, in order; a host without ranges starts from 0 only.

        Raises:
            OnboardingError: URL_UNREACHABLE, also midway.
        """
        for piece in self._stream(start):
            yield self._count_received(piece)

    def close(self) -> None:  # noqa: B027
        """Close files and connections."""

    @abstractmethod
    def _read(self, start: int, length: int) -> bytes: ...

    @abstractmethod
    def _stream(self, start: int) -> Iterator[bytes]: ...

    def _load(self, size: int) -> bytes:
        """Return all bytes of a small archive, requested once."""
        with self._fetching:
            if not self._content:
                self._content = self._count_received(self._read_range(0, size))
        return self._content

    def _count_received(self, data: bytes) -> bytes:
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
    """A local file."""

    local = True

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            OnboardingError: URL_UNREACHABLE, it does not exist, is not a file or can't be read.
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

    def read_into(self, buffer: memoryview, start: int) -> int:
        """Fill a buffer with bytes of the file.

        Args:
            buffer: writable, of bytes.
            start: position of the first byte, from 0.

        Returns:
            The number of bytes, fewer than the buffer has only at the end of the file.
        """
        done = 0
        while done < len(buffer) and (received := os.preadv(self._descriptor, [buffer[done:]], start + done)):
            done += received
        return done

    def _read(self, start: int, length: int) -> bytes:
        data = b""
        # One call returns 2 GiB at most.
        while piece := os.pread(self._descriptor, length - len(data), start + len(data)):
            data += piece
        return data

    def _stream(self, start: int) -> Iterator[bytes]:
        for offset in range(start, self.size, PIECE_BYTES):
            yield self._read(offset, PIECE_BYTES)


class StreamedFile(RawIOBase):
    """A source as a file object that is read forward once, received as it is read."""

    def __init__(self, source: ArchiveSource) -> None:
        """Begin at the first byte, without reading."""
        super().__init__()
        self._pieces = source.stream()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        """Fill a part of the buffer and return the number of bytes: 0 at the end of the file."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        target = memoryview(buffer).cast("B")
        length = min(len(target), len(self._rest))
        target[:length], self._rest = self._rest[:length], self._rest[length:]
        return length


class SourceFile(PositionedFile):
    """A source as a file object, and some bytes after it: small reads are served from cached blocks."""

    BLOCK_BYTES = 1 << 16
    KEPT_BLOCKS = 16

    def __init__(self, source: ArchiveSource, added: bytes = b"") -> None:
        """Open the source without reading; `added` follows its bytes."""
        self._source_size = source.size or 0
        super().__init__(self._source_size + len(added))
        self._source = source
        self._added = added
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readinto(self, buffer: "Buffer", /) -> int:
        """Fill the buffer up to the end of the file and return the number of bytes."""
        target = memoryview(buffer).cast("B")
        data = self._between(self._position, min(self._position + len(target), self.size))
        target[: len(data)] = data
        self._position += len(data)
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, all that follow if it is negative, without copying them once more."""
        end = self.size if size < 0 else min(self._position + size, self.size)
        data = self._between(self._position, end)
        self._position += len(data)
        return data

    def _between(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`, none if that is not behind it."""
        of_source = max(min(end, self._source_size) - start, 0)
        data = self._gather(start, of_source)
        behind = max(start - self._source_size, 0)
        more = self._added[behind : max(end - self._source_size, 0)]
        return data + more if more else data

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
