"""An archive in memory that keeps what was asked of it."""

from collections.abc import Iterator

from factory_pipeline.archives.source import ArchiveSource


class MemorySource(ArchiveSource):
    """Bytes as an archive; `breaks` says after how many bytes each stream in turn breaks off."""

    local = True

    def __init__(self, content: bytes, breaks: tuple[int, ...] = (), piece: int = 7) -> None:
        super().__init__()
        self.url, self.size, self.version = "memory:a.zip", len(content), "v1"
        self.content, self.breaks, self.piece = content, list(breaks), piece
        self.asked: list[tuple[int, int]] = []
        self.started: list[int] = []

    def _read(self, start: int, length: int) -> bytes:
        self.asked.append((start, length))
        return self.content[start : start + length]

    def _stream(self, start: int) -> Iterator[bytes]:
        self.started.append(start)
        end = self.breaks.pop(0) if self.breaks else len(self.content)
        for offset in range(start, end, self.piece):
            yield self.content[offset : min(offset + self.piece, end)]
