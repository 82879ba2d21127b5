"""tar.gz archives written and read back file by file: the same files give the same bytes."""

import gzip
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from factory_pipeline.archives.extract import open_tar
from factory_pipeline.archives.source import LocalSource
from factory_pipeline.errors import ExportError, OnboardingError

MEMBER_TIME = 1_577_836_800
"""Modification time of every file, 2020-01-01 in UTC: tar warns of times near 1970."""
LEVEL = 6
"""Compression, as gzip has it by default."""
MODE = 0o644
PIECE = 1 << 20


class TarGzWriter:
    """Writes files into a tar.gz, one after the other; memory does not grow with their number."""

    def __init__(self, path: Path) -> None:
        """Begin the archive."""
        self._file = path.open("wb")
        # No name and no time in the header of gzip.
        self._packed = gzip.GzipFile("", "wb", LEVEL, self._file, 0)
        self._tar = tarfile.TarFile(fileobj=self._packed, mode="w", format=tarfile.PAX_FORMAT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._tar.close()
            self._packed.close()
        self._file.close()

    def add(self, name: str, content: bytes) -> None:
        """Add a file that is in memory.

        Args:
            name: path in the archive.
            content: of the file.
        """
        self.add_file(name, BytesIO(content), len(content))

    def add_file(self, name: str, content: IO[bytes], size: int) -> None:
        """Add a file of so many bytes.

        Args:
            name: its path in the archive.
            content: read from its position on.
            size: in bytes.
        """
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, MEMBER_TIME, MODE
        self._tar.addfile(info, content)
        # tarfile keeps what it has written; it is not needed again.
        self._tar.members.clear()  # type: ignore[attr-defined]


class TarGzReader:
    """Reads back the files of an archive in the order in which they were written."""

    def __init__(self, path: Path, members: Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]) -> None:
        """As `read_back` makes it."""
        self._path = path
        self._members = members

    def expect(self, name: str) -> "MemberReader":
        """Return the next file, which must have this name.

        Raises:
            ExportError: it is another one, none follows, or the archive can't be read.
        """
        found = self._next_member()
        if found is None or found[1].name != name or not found[1].isreg():
            other = "nothing" if found is None else repr(found[1].name)
            raise ExportError(f"{self._path.name} was read back with {other} in place of {name!r}.")
        file = found[0].extractfile(found[1])
        assert file is not None
        return MemberReader(self._path, name, file)

    def expect_end(self) -> None:
        """See that no file follows.

        Raises:
            ExportError: one does, or the archive can't be read.
        """
        found = self._next_member()
        if found is not None:
            raise ExportError(f"{self._path.name} was read back with a further file, {found[1].name!r}.")

    def _next_member(self) -> tuple[tarfile.TarFile, tarfile.TarInfo] | None:
        try:
            return next(self._members, None)
        except OnboardingError as error:
            raise ExportError(f"{self._path.name} was written, but can't be read back: {error}") from error


class MemberReader:
    """A file of an archive that is read back."""

    def __init__(self, path: Path, name: str, file: IO[bytes]) -> None:
        """As `TarGzReader.expect` makes it."""
        self._path = path
        self._name = name
        self._file = file

    def read(self) -> bytes:
        """Return all of its bytes."""
        return b"".join(iter(lambda: self._file.read(PIECE), b""))

    def compare(self, expected: IO[bytes]) -> None:
        """Compare it with what was written.

        Raises:
            ExportError: it differs.
        """
        while True:
            found, wanted = self._file.read(PIECE), expected.read(PIECE)
            if found != wanted:
                raise ExportError(f"{self._name} in {self._path.name} was read back with other bytes.")
            if not found:
                return


@contextmanager
def read_back(path: Path) -> Iterator[TarGzReader]:
    """Open an archive that `TarGzWriter` wrote."""
    with LocalSource(path) as source, open_tar(source, lambda _: None, path.name) as members:
        yield TarGzReader(path, members)
