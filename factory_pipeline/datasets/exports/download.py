"""Downloading an export: resumable, every file verified, other files never overwritten.

A file is written as `.<name>.part` beside its path and renamed when its hash is verified. A file of that name
with other content was changed by a user and is never touched. In the folder of a download symbolic links are
never followed, so that nothing is written elsewhere.
"""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Protocol
from urllib.parse import quote

from factory_pipeline.datasets.exports.listing import LISTING, ExportedFile, ExportedFiles, parse_exported
from factory_pipeline.datasets.versions.read_calls import authorization
from factory_pipeline.errors import DamagedExportError, DownloadError
from factory_pipeline.storage.atomic import disk_is_full, write_text
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.storage.resume_download import resume_download
from factory_pipeline.storage.temporaries import remove_left

MARKER = ".factory_download.json"
"""Name of the file in a download's folder that identifies the export."""
WORKERS = 8
PIECE = 1 << 20
CONNECT_S, READ_S = 10, 60
TRIES = 5
"""Of a file that does not verify, or that brings nothing new; each goes on where the last one ended."""

MOST_BYTES = 255
"""Length limit of a file name in UTF-8 on common file systems."""
_WORDS_BYTES = 200
"""Length limit of the name of a folder that consists of the names of dataset and format."""

OnBytes = Callable[[int, int], None]
"""Called with the bytes received so far and all bytes."""


class ExportSource(Protocol):
    """The location of an export."""

    def listing(self) -> str:
        """Return the text of its listing.

        Raises:
            DownloadError: the export does not exist, or is unavailable.
        """

    def read(self, path: str, start: int) -> Iterator[bytes]:
        """Yield the bytes of one of its files from `start` on.

        Args:
            path: of the file, relative to the export's folder.
            start: offset of the first byte.

        Raises:
            OSError: it can't be read; a `requests.RequestException` is one too.
        """


@dataclass(frozen=True)
class FolderExportSource:
    """A local export."""

    folder: Path

    def listing(self) -> str:
        """As `ExportSource`."""
        try:
            return (self.folder / LISTING).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise DownloadError(f"The folder {self.folder} contains no export; export again.") from None

    def read(self, path: str, start: int) -> Iterator[bytes]:
        """As `ExportSource`."""
        with (self.folder / path).open("rb") as file:
            file.seek(start)
            while piece := file.read(PIECE):
                yield piece


@dataclass(frozen=True)
class HttpExportSource:
    """An export on the web server of a factory."""

    url: str
    """Address of its folder."""

    def listing(self) -> str:
        """As `ExportSource`."""
        import requests

        try:
            answer = requests.get(
                self._address(LISTING), headers=authorization(), timeout=(CONNECT_S, READ_S)
            )
            answer.raise_for_status()
        except requests.RequestException as error:
            raise DownloadError(
                f"The export can't be fetched from {self.url}: {_describe_error(error)}. Is `factory ui`"
                " running there?"
            ) from None
        return answer.text

    def read(self, path: str, start: int) -> Iterator[bytes]:
        """As `ExportSource`."""
        import requests

        asked = authorization() | ({"Range": f"bytes={start}-"} if start else {})
        with requests.get(
            self._address(path), headers=asked, stream=True, timeout=(CONNECT_S, READ_S)
        ) as answer:
            answer.raise_for_status()
            if start and answer.status_code != requests.codes.partial_content:
                raise OSError(f"{self.url} can't serve parts of a file")
            yield from answer.iter_content(PIECE)

    def _address(self, path: str) -> str:
        return f"{self.url.rstrip('/')}/{quote(path)}"


def download(
    source: ExportSource, target: Path, *, media: bool = True, on_bytes: OnBytes | None = None
) -> Path:
    """Download an export into a folder; an interrupted download is resumed.

    Args:
        source: the export.
        target: a folder that does not exist, is empty, or contains an earlier download of the same export.
        media: False skips images and rasters, so that only annotations are downloaded.
        on_bytes: called with the progress from time to time.

    Raises:
        DownloadError: the folder can't be written or contains something else, a file there was changed or is
            a link, the source can't be read, or a file does not match its hash after all attempts.
    """
    text = source.listing()
    listing = parse_exported(text, "the export")
    wanted = [file for file in listing.files if media or not file.media]
    for file in wanted:
        _refuse_unsafe(file.path)
    with _explain_disk_errors(target):
        _claim(target, listing)
    progress = _Progress(sum(file.bytes for file in wanted), on_bytes)
    with ThreadPoolExecutor(WORKERS) as pool:
        tasks = [pool.submit(_bring, source, file, target, progress) for file in wanted]
        try:
            for task in tasks:
                task.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    with _explain_disk_errors(target):
        write_text(target / LISTING, text)
    return target


def download_archive(source: ExportSource, target: Path, *, on_bytes: OnBytes | None = None) -> Path:
    """Download the archive of a release as one file; a download that was truncated goes on.

    Args:
        source: where a release is.
        target: the file; an existing one is left if it is the same.
        on_bytes: is told the progress now and then.

    Raises:
        DownloadError: the file can't be written or is another one, the source can't be read, or the archive
            does not verify after all tries.
    """
    listing = parse_exported(source.listing(), "the export")
    (archive,) = (file for file in listing.files if file.media)
    _refuse_unsafe(archive.path)
    if target.is_dir() or target.is_symlink():
        raise DownloadError(f"{target} is a folder or a link; name a file for the archive.")
    progress = _Progress(archive.bytes, on_bytes)
    with _explain_disk_errors(target):
        if target.exists():
            if target.stat().st_size == archive.bytes and sha256_of(target) == archive.sha256:
                return target
            raise DownloadError(f"{target} exists and is not this release; name another file, or remove it.")
        target.parent.mkdir(parents=True, exist_ok=True)
    part = _part(target)
    _fetch(source, archive, part, progress)
    with _explain_disk_errors(target):
        part.replace(target)
    return target


@contextmanager
def _explain_disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of writing or reading on the disk of a download into one sentence."""
    try:
        yield
    except OSError as error:
        if disk_is_full(error):
            raise DownloadError(
                f"There is no space left for {path}; free some space and download again; finished files are"
                " kept."
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            reason = f"the name is too long; a file system allows {MOST_BYTES} bytes"
        elif error.errno == errno.ELOOP:
            reason = "it is a symbolic link, which downloads never follow; remove it"
        else:
            reason = (error.strerror or str(error)).lower()
        raise DownloadError(f"{path} can't be written: {reason}.") from error
    except ValueError as error:  # a NUL, or text that no file system can hold
        raise DownloadError(f"{str(path)!r} can't be the name of a folder: {error}.") from error


@dataclass
class _Progress:
    total: int
    on_bytes: OnBytes | None
    done: int = 0
    lock: Lock = field(default_factory=Lock)

    def add(self, count: int) -> None:
        with self.lock:
            self.done += count
            if self.on_bytes is not None:
                self.on_bytes(self.done, self.total)


def _refuse_unsafe(path: str) -> None:
    """Refuse a path that leads out of the folder, as a listing may come from another machine."""
    parts = PurePosixPath(path).parts
    odd = not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path
    if odd or parts[0] in (MARKER, LISTING):
        raise DownloadError(f"The export names a file {path!r}, which does not stay in its folder.")


def _claim(target: Path, listing: ExportedFiles) -> None:
    """Mark a folder as that of this export, or check that it already is."""
    marker = target / MARKER
    if target.is_symlink() and not target.exists():
        raise DownloadError(f"{target} is a broken symbolic link; choose a folder for the download.")
    if target.exists() and not target.is_dir():
        raise DownloadError(f"{target} is a file; choose a folder for the download.")
    if marker.is_symlink():
        raise DownloadError(f"{marker} is a symbolic link, which downloads never follow; remove it.")
    if marker.exists():
        there = _read_marker(marker)
        if there["content_hash"] != listing.content_hash:
            raise DownloadError(
                f"{target} contains {there['dataset']} {there['version']} as {there['format']};"
                " choose another folder."
            )
        return
    # One that was killed before it had marked the folder left half a mark there.
    remove_left(target)
    if target.exists() and any(target.iterdir()):
        raise DownloadError(
            f"{target} is not empty and not a download of this export; choose another folder, or one that"
            " does"
            " not exist."
        )
    target.mkdir(parents=True, exist_ok=True)
    facts = {name: getattr(listing, name) for name in ("format", "dataset", "version", "content_hash")}
    write_text(marker, json.dumps(facts, indent=2) + "\n")


def _read_marker(marker: Path) -> dict[str, str]:
    """Return the marker of a download."""
    try:
        read = json.loads(marker.read_text(encoding="utf-8"))
        return {name: str(read[name]) for name in ("format", "dataset", "version", "content_hash")}
    except (ValueError, TypeError, KeyError):
        raise DownloadError(
            f"{marker} can't be read, so the content of {marker.parent} is unknown; choose another folder, or"
            " remove that file if the folder is empty otherwise."
        ) from None


def _bring(source: ExportSource, file: ExportedFile, target: Path, progress: _Progress) -> None:
    path = target / file.path
    with _explain_disk_errors(path):
        is_there = _prepare(path, file, target, progress)
    if not is_there:
        part = _part(path)
        _fetch(source, file, part, progress)
        with _explain_disk_errors(path):
            part.replace(path)


def _prepare(path: Path, file: ExportedFile, target: Path, progress: _Progress) -> bool:
    """Create the folder of a file; return whether the file already exists with the right content."""
    for each in (*(target / parent for parent in PurePosixPath(file.path).parents), path):
        if each != target and each.is_symlink():
            raise DownloadError(f"{each} is a symbolic link, which downloads never follow; remove it.")
    if path.exists():
        if not path.is_file() or path.stat().st_size != file.bytes or sha256_of(path) != file.sha256:
            raise DownloadError(
                f"{path} has changed since it was downloaded; move it to another folder to download it again."
            )
        progress.add(file.bytes)
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    return False


def _part(path: Path) -> Path:
    """Return the temporary path of a file; its name must not be too long if that of the file is not."""
    name = f".{path.name}.part"
    if len(os.fsencode(name)) > MOST_BYTES:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.part"
    return path.with_name(name)


def _fetch(source: ExportSource, file: ExportedFile, part: Path, progress: _Progress) -> None:
    """Make `part` the complete, verified file."""
    counted = 0

    def pieces(start: int) -> Iterator[bytes]:
        nonlocal counted
        progress.add(start - counted)
        counted = start
        for piece in _read(source, file, start):
            yield piece
            progress.add(len(piece))
            counted += len(piece)
        if counted < file.bytes:
            raise _SourceError(_UNFIT)

    reason = _UNFIT
    try:
        for _ in range(TRIES):
            with _explain_disk_errors(part):
                if part.exists() and not part.is_symlink() and part.stat().st_size > file.bytes:
                    part.unlink()
                resume_download(part, pieces, is_transient=_is_of_source, retries=TRIES - 1)
                if counted == file.bytes and sha256_of(part) == file.sha256:
                    return
                part.unlink()
    except _SourceError as error:
        reason = str(error)
    failed = f"{file.path} could not be downloaded in {TRIES} attempts: {reason}."
    raise DamagedExportError(failed) if reason in _OF_DAMAGE else DownloadError(failed)


_UNFIT = "it does not match its hash"
_OF_DAMAGE = (_UNFIT, "the server responded with status 404")


class _SourceError(Exception):
    """The source of a download can't be read; the message says why."""


def _is_of_source(error: Exception) -> bool:
    return isinstance(error, _SourceError)


def _read(source: ExportSource, file: ExportedFile, start: int) -> Iterator[bytes]:
    """Give what a file lacks; an error of the source gets a type of its own, for the disk may fail too."""
    try:
        if start < file.bytes:
            yield from source.read(file.path, start)
    except OSError as error:
        raise _SourceError(_describe_error(error)) from error


def _describe_error(error: Exception) -> str:
    """Describe an error without its address, which may contain a secret."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"the server responded with status {error.response.status_code}"
    if isinstance(error, requests.RequestException):
        return "the server does not respond"
    return getattr(error, "strerror", None) or str(error)


def folder_name(source: ExportSource) -> str:
    """Return the default name of the folder that an export is downloaded into.

    Raises:
        DownloadError: the export does not exist, or is unavailable.
    """
    listing = parse_exported(source.listing(), "the export")
    words: Sequence[str] = (listing.dataset, listing.version, listing.format)
    dataset, *others = (
        "".join(c if c.isalnum() or c == "." else "_" for c in word).strip("_") for word in words
    )
    kept = dataset.encode()[: _WORDS_BYTES - len("-".join(others).encode())].decode(errors="ignore")
    if kept != dataset:
        kept = f"{kept}_{hashlib.sha256(dataset.encode()).hexdigest()[:8]}"
    return "-".join([kept, *others])
