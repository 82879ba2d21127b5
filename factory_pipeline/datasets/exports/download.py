"""Downloading an export: resumed where it was cut off, every file verified, nothing of others overwritten.

A file grows as `.<name>.part` beside its place and takes its name once its hash is right. What lies under
that name with another content was changed by somebody and is never touched. Below the folder of a download
symbolic links are never followed, so that nothing is written elsewhere.
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

import requests

from factory_pipeline.datasets.exports.listing import LISTING, ExportedFile, ExportedFiles, parse_exported
from factory_pipeline.errors import DamagedExportError, DownloadError
from factory_pipeline.storage.atomic import disk_is_full, write_text
from factory_pipeline.storage.checksum import sha256_of

MARKER = ".factory_download.json"
"""Says in a download's folder which export lies there."""
WORKERS = 8
PIECE = 1 << 20
CONNECT_S, READ_S = 10, 60
TRIES = 5
"""Of a file whose connection breaks; each goes on where the last one ended."""

MOST_BYTES = 255
"""Of a name in a folder, in UTF-8, on the file systems that there are."""
_WORDS_BYTES = 200
"""Of the name of a folder that is made of the names of dataset and format."""

OnBytes = Callable[[int, int], None]
"""Is told the bytes that are there and all bytes."""


class ExportSource(Protocol):
    """Where an export lies."""

    def listing(self) -> str:
        """The text of its listing.

        Raises:
            DownloadError: there is no export, or it can't be reached.
        """

    def read(self, path: str, start: int) -> Iterator[bytes]:
        """The bytes of one of its files from `start` on.

        Raises:
            OSError, requests.RequestException: it can't be read.
        """


@dataclass(frozen=True)
class FolderExportSource:
    """An export on this machine."""

    folder: Path

    def listing(self) -> str:
        """As ExportSource says."""
        try:
            return (self.folder / LISTING).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise DownloadError(f"There is no export in {self.folder}; make it again.") from None

    def read(self, path: str, start: int) -> Iterator[bytes]:
        """As ExportSource says."""
        with (self.folder / path).open("rb") as file:
            file.seek(start)
            while piece := file.read(PIECE):
                yield piece


@dataclass(frozen=True)
class HttpExportSource:
    """An export that a server of the factory's pages serves."""

    url: str
    """Of its folder."""

    def listing(self) -> str:
        """As ExportSource says."""
        try:
            answer = requests.get(self._address(LISTING), timeout=(CONNECT_S, READ_S))
            answer.raise_for_status()
        except requests.RequestException as error:
            raise DownloadError(
                f"The export can't be fetched from {self.url}: {_said(error)}. Is `factory ui` running there?"
            ) from None
        return answer.text

    def read(self, path: str, start: int) -> Iterator[bytes]:
        """As ExportSource says."""
        asked = {"Range": f"bytes={start}-"} if start else {}
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
    """Bring an export into a folder; a download that was cut off goes on.

    Args:
        source: where it lies.
        target: a folder that is not there, empty, or holds an earlier download of the same export.
        media: False leaves images and rasters out, so that only annotations come.
        on_bytes: is told the progress now and then.

    Raises:
        DownloadError: the folder can't be written or holds something else, a file there was changed or is a
            link, the source can't be read, or a file does not verify after all tries.
    """
    text = source.listing()
    listing = parse_exported(text, "the export")
    wanted = [file for file in listing.files if media or not file.media]
    for file in wanted:
        _refuse_unsafe(file.path)
    with _writing(target):
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
    with _writing(target):
        write_text(target / LISTING, text)
    return target


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say in one sentence why something can't be written or read back on the disk of a download."""
    try:
        yield
    except OSError as error:
        if disk_is_full(error):
            raise DownloadError(
                f"There is no space left for {path}; make room and download again, finished files stay."
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
    """A listing may come from another machine: its names must stay in the folder."""
    parts = PurePosixPath(path).parts
    odd = not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path
    if odd or parts[0] in (MARKER, LISTING):
        raise DownloadError(f"The export names a file {path!r}, which does not stay in its folder.")


def _claim(target: Path, listing: ExportedFiles) -> None:
    """Mark a folder as that of this export, or find that it is so already."""
    marker = target / MARKER
    if target.is_symlink() and not target.exists():
        raise DownloadError(f"{target} is a symbolic link to nothing; name a folder for the download.")
    if target.exists() and not target.is_dir():
        raise DownloadError(f"{target} is a file; name a folder for the download.")
    if marker.is_symlink():
        raise DownloadError(f"{marker} is a symbolic link, which downloads never follow; remove it.")
    if marker.exists():
        there = _read_marker(marker)
        if there["content_hash"] != listing.content_hash:
            raise DownloadError(
                f"{target} holds {there['dataset']} {there['version']} as {there['format']};"
                " name another folder."
            )
        return
    if target.exists() and any(target.iterdir()):
        raise DownloadError(
            f"{target} is not empty and no download of this export; name another folder, or one that is"
            " not there."
        )
    target.mkdir(parents=True, exist_ok=True)
    facts = {name: getattr(listing, name) for name in ("format", "dataset", "version", "content_hash")}
    write_text(marker, json.dumps(facts, indent=2) + "\n")


def _read_marker(marker: Path) -> dict[str, str]:
    """Return what a download wrote down about itself."""
    try:
        read = json.loads(marker.read_text(encoding="utf-8"))
        return {name: str(read[name]) for name in ("format", "dataset", "version", "content_hash")}
    except (ValueError, TypeError, KeyError):
        raise DownloadError(
            f"{marker} can't be read, so it is not known what {marker.parent} holds; name another folder, or"
            " remove that file if the folder is empty otherwise."
        ) from None


def _bring(source: ExportSource, file: ExportedFile, target: Path, progress: _Progress) -> None:
    place = target / file.path
    with _writing(place):
        is_there = _prepare(place, file, target, progress)
    if not is_there:
        part = _part(place)
        _fetch(source, file, part, progress)
        with _writing(place):
            part.replace(place)


def _prepare(place: Path, file: ExportedFile, target: Path, progress: _Progress) -> bool:
    """Make the folder of a file; returns whether the file is there already, as it should be."""
    for each in (*(target / parent for parent in PurePosixPath(file.path).parents), place):
        if each != target and each.is_symlink():
            raise DownloadError(f"{each} is a symbolic link, which downloads never follow; remove it.")
    if place.exists():
        if not place.is_file() or place.stat().st_size != file.bytes or sha256_of(place) != file.sha256:
            raise DownloadError(
                f"{place} was changed since it was downloaded; move it away to have it downloaded again."
            )
        progress.add(file.bytes)
        return True
    place.parent.mkdir(parents=True, exist_ok=True)
    return False


def _part(place: Path) -> Path:
    """Return the name under which a file grows, which must not be too long where its own name is not."""
    name = f".{place.name}.part"
    if len(os.fsencode(name)) > MOST_BYTES:
        name = f".{hashlib.sha256(os.fsencode(place.name)).hexdigest()[:16]}.part"
    return place.with_name(name)


def _fetch(source: ExportSource, file: ExportedFile, part: Path, progress: _Progress) -> None:
    """Make `part` hold the whole verified file."""
    counted = 0
    reason = _UNFIT
    for _ in range(TRIES):
        with _writing(part), open(part, "ab", opener=_open_file_itself) as out:
            start = out.tell()
            if start > file.bytes:
                out.truncate(0)
                start = 0
            progress.add(start - counted)
            counted = start
            try:
                for piece in _pieces(source, file, start):
                    out.write(piece)
                    progress.add(len(piece))
                    counted += len(piece)
            except _SourceError as error:
                reason = str(error)
                continue
            finally:
                out.flush()
                os.fsync(out.fileno())
        with _writing(part):
            if counted == file.bytes and sha256_of(part) == file.sha256:
                return
            if counted >= file.bytes:
                part.unlink()
        reason = _UNFIT
    failed = f"{file.path} could not be downloaded in {TRIES} tries: {reason}."
    raise DamagedExportError(failed) if reason in _OF_DAMAGE else DownloadError(failed)


_UNFIT = "it does not fit its hash"
_OF_DAMAGE = (_UNFIT, "the server answered 404")


class _SourceError(Exception):
    """The source of a download can't be read; the message says why."""


def _pieces(source: ExportSource, file: ExportedFile, start: int) -> Iterator[bytes]:
    """Give what a file lacks, and tell a source that fails from a disk that does."""
    try:
        if start < file.bytes:
            yield from source.read(file.path, start)
    except (OSError, requests.RequestException) as error:
        raise _SourceError(_said(error)) from error


def _open_file_itself(path: str, flags: int) -> int:
    """Open a file, but not through a symbolic link."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _said(error: Exception) -> str:
    """What an error says without an address, which may hold a secret."""
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.RequestException):
        return "the server does not answer"
    return getattr(error, "strerror", None) or str(error)


def folder_name(source: ExportSource) -> str:
    """Name of the folder that an export is downloaded into when none is asked for.

    Raises:
        DownloadError: there is no export, or it can't be reached.
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
