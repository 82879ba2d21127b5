"""Listing and unpacking zip and tar archives: whole or not at all, and nothing but files below the target."""

import gzip
import hashlib
import os
import shutil
import tarfile
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO

import polars as pl

from factory_pipeline.archives.safe_names import MemberFilter, tar_member, zip_member
from factory_pipeline.archives.source import ArchiveSource, LocalSource, SourceFile
from factory_pipeline.archives.zip_directory import END, LOCATOR, has_directory, zip_infos
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.parallel_map import frame_of
from factory_pipeline.storage.atomic import disk_is_full

COPY_BYTES = 1 << 20
BYTES_PER_LISTED_MEMBER = 1024
"""Most bytes that a member may take on average in a zip's central directory; usual are 80 to 200."""
NO_MEMBERS = bytes(LOCATOR.size) + END.pack(b"PK\x05\x06", *(0,) * 7)
"""Behind an archive it makes `zipfile` take the archive for one without members: it unpacks those that it is
given all the same, and does not list all of them first."""
GZIP_MAGIC = b"\x1f\x8b"
TAR_BLOCK = 512
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    UnicodeDecodeError,
    NotImplementedError,
)
"""What the standard library raises on a broken archive."""


class ArchiveKind(StrEnum):
    """Formats that are read."""

    ZIP = "zip"
    TAR = "tar"
    """Also compressed with gzip."""


def archive_kind(source: ArchiveSource) -> ArchiveKind:
    """The format of an archive by its content.

    Raises:
        OnboardingError: NOT_AN_ARCHIVE, ARCHIVE_EMPTY for a file of no bytes, RANGES_UNSUPPORTED.
    """
    head = source.read(0, TAR_BLOCK)
    if not head:
        raise OnboardingError("ARCHIVE_EMPTY", f"{source.url} has no bytes.")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ArchiveKind.ZIP
    # An empty tar is nothing but zeros.
    if head.startswith(GZIP_MAGIC) or head[257:262] == b"ustar" or head == bytes(TAR_BLOCK):
        return ArchiveKind.TAR
    # A program that unpacks its own archive lies before it.
    if has_directory(source):
        return ArchiveKind.ZIP
    raise OnboardingError("NOT_AN_ARCHIVE", f"{source.url} is neither a zip nor a tar or tar.gz archive.")


@contextmanager
def broken_as_error(archive: str, code: str = "NOT_AN_ARCHIVE") -> Iterator[None]:
    """Turn what the standard library raises on broken archives into an OnboardingError."""
    try:
        yield
    except BROKEN as error:
        raise OnboardingError(code, f"The archive {archive} is broken or cut off ({error}).") from error


def zip_members(source: ArchiveSource, policy: IntakePolicy) -> Iterator[zipfile.ZipInfo]:
    """The list of a zip, member by member as it is read.

    Raises:
        OnboardingError: NOT_AN_ARCHIVE, TOO_MANY_MEMBERS, and what `source.read` raises.
    """
    with broken_as_error(source.url):
        yield from zip_infos(source, policy.max_members * BYTES_PER_LISTED_MEMBER)


def zip_files(
    source: ArchiveSource, archive: str, policy: IntakePolicy
) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """The files of a zip that are let in, by their checked names; all are checked once the last has come.

    Raises:
        OnboardingError: as `zip_members`, `members.zip_member`, `members.Gate`; BOMB by declared sizes.
    """
    gate = MemberFilter(archive, policy)
    meter = DecompressionLimit(archive, policy)
    for info in zip_members(source, policy):
        member = zip_member(info, archive)
        if gate.accepts(member):
            meter.count(info.file_size)
            yield member.name, info
    gate.check_not_empty()


def archive_identity(source: ArchiveSource, policy: IntakePolicy) -> str:
    """What tells the content of an archive, in hex: the same files give the same identity.

    For a zip that can be read in parts it is a digest of names, sizes and checksums of the central
    directory, without the times. Otherwise it is what the host says of the state of a remote file, or the
    SHA-256 of the content of one that is local or of whose state its host says nothing.

    Raises:
        OnboardingError: as `archive_kind`, `zip_members` and `content_digest`.
    """
    if is_known_by_content(source):
        return content_digest(source, policy)
    digest = hashlib.sha256()
    if source.ranged and archive_kind(source) is ArchiveKind.ZIP:
        schema = {"name": pl.String, "bytes": pl.UInt64, "crc": pl.UInt32}
        listed = frame_of(
            (
                {"name": info.orig_filename, "bytes": info.file_size, "crc": info.CRC}
                for info in zip_members(source, policy)
            ),
            schema,
        )
        for name, size, check in listed.sort("name", "bytes", "crc").iter_rows():
            digest.update(f"{name}\0{size}\0{check}\n".encode())
    else:
        digest.update(f"{source.url}\0{source.version}\0{source.size}".encode())
    return digest.hexdigest()


def is_known_by_content(source: ArchiveSource) -> bool:
    """Whether nothing but all of its bytes tells the content of an archive.

    Raises:
        OnboardingError: as `archive_kind`.
    """
    has_list = source.ranged and archive_kind(source) is ArchiveKind.ZIP
    return not has_list and (source.local or not source.version)


def content_digest(source: ArchiveSource, policy: IntakePolicy) -> str:
    """The SHA-256 of an archive in hex; a remote one is read from its start again if it breaks off.

    Raises:
        OnboardingError: URL_UNREACHABLE, HOST_TOO_SLOW, ARCHIVE_TOO_LARGE.
    """
    for left in range(policy.retries, -1, -1):
        digest, received = hashlib.sha256(), 0
        try:
            for piece in source.stream():
                digest.update(piece)
                received += len(piece)
                if received > policy.max_archive_bytes:
                    most = policy.max_archive_bytes
                    raise OnboardingError(
                        "ARCHIVE_TOO_LARGE", f"{source.url} has more than the {most} bytes that are allowed."
                    )
            if source.size is not None and received != source.size:
                raise OnboardingError(
                    "URL_UNREACHABLE", f"{source.url} broke off after {received} of {source.size} bytes."
                )
            return digest.hexdigest()
        except OnboardingError as error:
            if error.code != "URL_UNREACHABLE" or not left:
                raise
    raise AssertionError("the last try returns or raises")


def extract(archive: Path, target: Path, policy: IntakePolicy, shown: str | None = None) -> None:
    """Unpack an archive into the folder `target`, which appears whole or not at all.

    What was in `target` before is replaced. Errors call the archive `shown`, by default the name of its file:
    users do not know that of a download. Sizes are counted while unpacking; what the archive declares is
    not trusted.

    Raises:
        OnboardingError: for everything that makes an archive broken or hostile; nothing is left behind.
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
                _extract_tar(archive, unpacked, policy, shown or archive.name)
        # One sync of everything: a sync per file would take minutes for many small ones.
        os.sync()
        if target.exists():
            shutil.rmtree(target)
        unpacked.rename(target)
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
    """Counts the bytes that come out of an archive against the limits."""

    def __init__(self, archive: str, policy: IntakePolicy, packed: int | None = None) -> None:
        """An archive of `packed` bytes; None where the ratio is not to be looked at."""
        self._archive = archive
        self._policy = policy
        self._most = policy.max_unpacked_bytes
        if packed is not None:
            by_ratio = max(int(policy.max_ratio * packed), policy.ratio_floor_bytes)
            self._most = min(self._most, by_ratio)
        self._total = 0

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
        raise OnboardingError("BOMB", f"The archive {self._archive} unpacks to more than {reason}.")


def _extract_zip(source: LocalSource, folder: Path, policy: IntakePolicy, archive: str) -> None:
    # Nothing is unpacked before the last member is checked.
    deque(zip_files(source, archive, policy), maxlen=0)
    meter = DecompressionLimit(archive, policy, source.size)
    with zipfile.ZipFile(SourceFile(source, NO_MEMBERS)) as unlisted:
        for name, info in zip_files(source, archive, policy):
            where = f"{archive} at {name!r}"
            with broken_as_error(where, "ARCHIVE_CORRUPT"), unlisted.open(info) as file:
                _write(file, folder / name, meter.count)


def _write(file: IO[bytes], place: Path, count: Callable[[int], None]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as written:
        while piece := file.read(COPY_BYTES):
            count(len(piece))
            written.write(piece)


class TarStream:
    """The unpacked bytes of a tar, read forward once; every byte is counted, skipped ones too.

    tarfile takes a header that says so into memory as one, however long; here a single read is bounded.
    """

    def __init__(self, file: IO[bytes], archive: str, count: Callable[[int], None]) -> None:
        """`file` gives the unpacked bytes."""
        self._file = file
        self._archive = archive
        self._count = count
        self._position = 0
        self._last = b""

    def read(self, size: int) -> bytes:
        """The next bytes.

        Raises:
            OnboardingError: BOMB for more bytes than any honest header has, or as `count`.
        """
        if size > COPY_BYTES:
            raise OnboardingError("BOMB", f"The archive {self._archive} has a header of {size} bytes.")
        self._last = self._file.read(size)
        self._position += len(self._last)
        self._count(len(self._last))
        return self._last

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def seek(self, position: int) -> int:
        """Go forward by reading."""
        while self._position < position and self.read(min(COPY_BYTES, position - self._position)):
            pass
        return self._position

    def check_end(self) -> None:
        """A whole tar ends with a block of zeros, and what follows must unpack too.

        tarfile takes a cut-off or garbled header for the end of the archive.

        Raises:
            OnboardingError: NOT_AN_ARCHIVE.
        """
        if self._last != bytes(TAR_BLOCK):
            raise OnboardingError("NOT_AN_ARCHIVE", f"The archive {self._archive} is broken or cut off.")
        while self.read(COPY_BYTES):
            pass


@contextmanager
def open_tar(
    path: Path, count: Callable[[int], None], archive: str
) -> Iterator[Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]]:
    """The members of a local tar or tar.gz in their order; each must be read before the next is asked for.

    Errors call it `archive`.

    Raises:
        OnboardingError: NOT_AN_ARCHIVE, BOMB, and what `count` raises.
    """
    with path.open("rb") as packed:
        compressed = packed.read(2) == GZIP_MAGIC
        packed.seek(0)
        file = gzip.GzipFile(fileobj=packed) if compressed else packed
        stream = TarStream(file, archive, count)  # type: ignore[arg-type]
        yield _tar_members(stream, archive)


def _tar_members(stream: TarStream, archive: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    with broken_as_error(archive):
        listed = tarfile.TarFile(fileobj=stream)  # type: ignore[arg-type]
        while (info := listed.next()) is not None:
            yield listed, info
            # tarfile keeps every header that it has seen; they are not needed again.
            listed.members.clear()  # type: ignore[attr-defined]
        stream.check_end()


def _extract_tar(path: Path, folder: Path, policy: IntakePolicy, archive: str) -> None:
    gate = MemberFilter(archive, policy)
    meter = DecompressionLimit(archive, policy, path.stat().st_size)
    with open_tar(path, meter.count, archive) as members:
        for listed, info in members:
            member = tar_member(info, archive)
            if not gate.accepts(member):
                continue
            # The holes of a sparse file are not in the stream but are written.
            count = meter.count if info.issparse() else _no_count
            file = listed.extractfile(info)
            assert file is not None
            with broken_as_error(f"{archive} at {member.name!r}", "ARCHIVE_CORRUPT"):
                _write(file, folder / member.name, count)
    gate.check_not_empty()


def _no_count(_: int) -> None:
    """The stream has counted."""
