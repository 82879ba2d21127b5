"""Listing and unpacking zip and tar archives atomically, and only files below the target folder."""

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

from isal import igzip_threaded, isal_zlib

from factory_pipeline.archives.safe_names import MemberFilter, tar_member, zip_member
from factory_pipeline.archives.source import ArchiveSource, LocalSource, SourceFile, StreamedFile
from factory_pipeline.archives.unpack_member import MemberUnpacker
from factory_pipeline.archives.zip_directory import END, LOCATOR, has_directory, zip_infos
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.storage.atomic import disk_is_full
from factory_pipeline.storage.folders import publish_folder
from factory_pipeline.thread_map import map_in_threads

COPY_BYTES = 1 << 20
BYTES_PER_LISTED_MEMBER = 1024
"""Largest average size in bytes of a member's entry in a zip's central directory; usual are 80 to 200."""
NO_MEMBERS = bytes(LOCATOR.size) + END.pack(b"PK\x05\x06", *(0,) * 7)
"""Appended to an archive, it makes `zipfile` see an archive without members: it still unpacks the members
that it is passed, and does not list all of them first.
"""
WORKERS = 2
"""Members of a zip that are unpacked at once."""
GZIP_MAGIC = b"\x1f\x8b"
TAR_BLOCK = 512
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    cast(type[Exception], isal_zlib.error),  # its stub has an instance
    EOFError,
    UnicodeDecodeError,
    NotImplementedError,
)
"""The errors that the standard library and ISA-L raise on a broken archive."""


class ArchiveKind(StrEnum):
    """Supported formats."""

    ZIP = "zip"
    TAR = "tar"
    """Also compressed with gzip."""


def archive_kind(source: ArchiveSource) -> ArchiveKind:
    """Detect the format of an archive from its content.

    Raises:
        OnboardingError: NOT_AN_ARCHIVE, ARCHIVE_EMPTY for a file of no bytes, RANGES_UNSUPPORTED.
    """
    head = source.read(0, TAR_BLOCK)
    if not head:
        raise OnboardingError("ARCHIVE_EMPTY", f"{source.url} has no bytes.")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ArchiveKind.ZIP
    # An empty tar contains only zeros.
    if head.startswith(GZIP_MAGIC) or head[257:262] == b"ustar" or head == bytes(TAR_BLOCK):
        return ArchiveKind.TAR
    # A self-extracting archive starts with a program.
    if has_directory(source):
        return ArchiveKind.ZIP
    raise OnboardingError("NOT_AN_ARCHIVE", f"{source.url} is neither a zip nor a tar or tar.gz archive.")


@contextmanager
def archive_errors(archive: str, code: str = "NOT_AN_ARCHIVE") -> Iterator[None]:
    """Turn the errors that are raised on broken archives into an OnboardingError.

    Args:
        archive: how the message names it.
        code: of the error that is raised.

    Raises:
        OnboardingError: `code`, for any of the errors in BROKEN.
    """
    try:
        yield
    except BROKEN as error:
        raise OnboardingError(code, f"The archive {archive} is corrupt or truncated ({error}).") from error


def zip_members(source: ArchiveSource, policy: IntakePolicy) -> Iterator[zipfile.ZipInfo]:
    """Yield the members of a zip one by one as its list is read.

    Args:
        source: a zip whose host serves parts.
        policy: its `max_members` limits the central directory that is read.

    Raises:
        OnboardingError: NOT_AN_ARCHIVE, TOO_MANY_MEMBERS, and what `source.read` raises.
    """
    with archive_errors(source.url):
        yield from zip_infos(source, policy.max_members * BYTES_PER_LISTED_MEMBER)


def zip_files(
    source: ArchiveSource, archive: str, policy: IntakePolicy
) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Yield the accepted files of a zip with their checked names; all are checked once the last is yielded.

    Args:
        source: a zip whose host serves parts.
        archive: how messages name it.
        policy: its limits on members, names and unpacked bytes apply.

    Yields:
        The checked relative path and the member's entry in the central directory.

    Raises:
        OnboardingError: as `zip_members`, `safe_names.zip_member`, `safe_names.MemberFilter`; BOMB by
            declared sizes.
    """
    gate = MemberFilter(archive, policy)
    meter = DecompressionLimit(archive, policy)
    for info in zip_members(source, policy):
        member = zip_member(info, archive)
        if gate.accepts(member):
            meter.at = member.name
            meter.count(info.file_size)
            yield member.name, info
    gate.check_not_empty()


def extract(archive: Path, target: Path, policy: IntakePolicy, shown: str | None = None) -> None:
    """Unpack an archive into the folder `target`, atomically.

    The previous content of `target` is replaced. Sizes are counted while unpacking; those that the archive
    declares are not trusted.

    Args:
        archive: path of the archive.
        target: folder for its files.
        policy: limits on members and bytes.
        shown: name of the archive in errors, by default that of its file: users do not know the name of a
            download.

    Raises:
        OnboardingError: the archive is corrupt or hostile; nothing is left behind.
    """
    unpacked = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True)
        with LocalSource(archive) as source:
            if shown is not None:
                source.url = shown
            if archive_kind(source) is ArchiveKind.ZIP:
                _extract_zip(source, unpacked, policy, shown or archive.name)
            else:
                _extract_tar(source, unpacked, policy, shown or archive.name)
        if target.exists():
            shutil.rmtree(target)
        publish_folder(unpacked, target)
    except OSError as error:
        if disk_is_full(error):
            raise OnboardingError(
                "DISK_FULL",
                f"There is no space left to unpack {shown or archive.name}; free some and try again.",
            ) from error
        raise
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


class DecompressionLimit:
    """Counts the unpacked bytes of an archive against the limits."""

    def __init__(self, archive: str, policy: IntakePolicy, packed: int | None = None) -> None:
        """Set the limits.

        Args:
            archive: name of the archive in errors.
            policy: the limits.
            packed: size of the archive in bytes; None to ignore the ratio.
        """
        self._archive = archive
        self._policy = policy
        self._most = policy.max_unpacked_bytes
        if packed is not None:
            by_ratio = max(int(policy.max_ratio * packed), policy.ratio_floor_bytes)
            self._most = min(self._most, by_ratio)
        self._total = 0
        self.at = ""
        """The member whose bytes are counted; empty where it is not known."""

    def count(self, received: int) -> None:
        """Add bytes.

        Raises:
            OnboardingError: BOMB.
        """
        self._total += received
        if self._total > self._policy.max_unpacked_bytes:
            reason = f"{self._policy.max_unpacked_bytes} bytes, the most that is allowed"
        elif self._total > self._most:
            reason = f"{self._policy.max_ratio:g} times its own size, as only a zip bomb does"
        else:
            return
        beyond = f"; {self.at!r} goes beyond that" if self.at else ""
        raise OnboardingError("BOMB", f"The archive {self._archive} unpacks to more than {reason}{beyond}.")


def _extract_zip(source: LocalSource, folder: Path, policy: IntakePolicy, archive: str) -> None:
    # Unpacking starts after the last member is checked.
    deque(zip_files(source, archive, policy), maxlen=0)
    meter = DecompressionLimit(archive, policy, source.size)
    unpacker, folders = MemberUnpacker(source), set[Path]()

    def unpack(member: tuple[str, zipfile.ZipInfo]) -> tuple[str, zipfile.ZipInfo, bool]:
        name, info = member
        path = folder / name
        if path.parent not in folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.add(path.parent)
        return name, info, unpacker.unpack(info, path)

    # No thread may be writing any more when the folder of a refused archive is removed.
    members = closing(map_in_threads(unpack, zip_files(source, archive, policy), WORKERS))
    with zipfile.ZipFile(SourceFile(source, NO_MEMBERS)) as unlisted, members as unpacked:
        for name, info, is_written in unpacked:
            where, meter.at = f"{archive} at {name!r}", name
            if is_written:
                meter.count(info.file_size)
                continue
            with archive_errors(where, "ARCHIVE_CORRUPT"), _bzip2_errors(), unlisted.open(info) as file:
                _write(file, folder / name, meter.count)


@contextmanager
def _bzip2_errors() -> Iterator[None]:
    """Turn bz2's error of broken data, an OSError without a number, into that of a broken zip."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise zipfile.BadZipFile(str(error)) from error


def _write(file: IO[bytes], path: Path, count: Callable[[int], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as written:
        while piece := file.read(COPY_BYTES):
            count(len(piece))
            written.write(piece)


class TarStream:
    """The unpacked bytes of a tar, read forward once; every byte is counted, skipped ones too.

    tarfile reads a header of any declared length into memory at once; here a single read is bounded.
    """

    def __init__(self, file: IO[bytes], archive: str, count: Callable[[int], None]) -> None:
        """Wrap a file of the unpacked bytes."""
        self._file = file
        self._archive = archive
        self._count = count
        self._position = 0
        self._last = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            OnboardingError: BOMB for more bytes than any valid header has, or as `count`.
        """
        if size > COPY_BYTES:
            raise OnboardingError("BOMB", f"The archive {self._archive} has a header of {size} bytes.")
        self._last = self._file.read(size)
        self._position += len(self._last)
        self._count(len(self._last))
        return self._last

    def tell(self) -> int:
        """Return the number of bytes read so far."""
        return self._position

    def seek(self, position: int) -> int:
        """Move forward by reading, and return the position."""
        while self._position < position and self.read(min(COPY_BYTES, position - self._position)):
            pass
        return self._position

    def check_end(self) -> None:
        """Require that the tar ends with a block of zeros, and that what follows unpacks too.

        tarfile treats a truncated or garbled header as the end of the archive.

        Raises:
            OnboardingError: NOT_AN_ARCHIVE.
        """
        if self._last != bytes(TAR_BLOCK):
            raise OnboardingError("NOT_AN_ARCHIVE", f"The archive {self._archive} is corrupt or truncated.")
        while self.read(COPY_BYTES):
            pass


@contextmanager
def open_tar(
    source: ArchiveSource, count: Callable[[int], None], archive: str
) -> Iterator[Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]]:
    """Yield the members of a tar or tar.gz in their order; each must be read before the next.

    Args:
        source: of the tar; a remote one is received no further than it is read.
        count: called with the number of bytes of each read.
        archive: name of the archive in errors.

    Raises:
        OnboardingError: NOT_AN_ARCHIVE, BOMB, and what `count` and `source.stream` raise.
    """
    with BufferedReader(StreamedFile(source), COPY_BYTES) as packed:
        compressed = packed.peek(2)[:2] == GZIP_MAGIC
        # Inflated in a thread of its own, a few megabytes ahead, while members are written.
        with igzip_threaded.open(packed) if compressed else nullcontext(packed) as file:
            yield _tar_members(TarStream(file, archive, count), archive)


def _tar_members(stream: TarStream, archive: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    with archive_errors(archive):
        listed = tarfile.TarFile(fileobj=stream)  # type: ignore[arg-type]
        while (info := listed.next()) is not None:
            yield listed, info
            # tarfile caches every header that it has read; they are not needed again.
            listed.members.clear()  # type: ignore[attr-defined]
        stream.check_end()


def _extract_tar(source: LocalSource, folder: Path, policy: IntakePolicy, archive: str) -> None:
    gate = MemberFilter(archive, policy)
    meter = DecompressionLimit(archive, policy, source.size)
    with open_tar(source, meter.count, archive) as members:
        for listed, info in members:
            member = tar_member(info, archive)
            meter.at = member.name
            if not gate.accepts(member):
                continue
            # The holes of a sparse file are not in the stream, but are written to disk.
            count = meter.count if info.issparse() else _ignore_count
            file = listed.extractfile(info)
            assert file is not None
            with archive_errors(f"{archive} at {member.name!r}", "ARCHIVE_CORRUPT"):
                _write(file, folder / member.name, count)
    gate.check_not_empty()


def _ignore_count(_: int) -> None:
    """Do nothing: the stream has counted already."""
