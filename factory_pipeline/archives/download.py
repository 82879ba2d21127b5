"""Opening an archive by its address, and downloading it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from factory_pipeline.archives.http_source import HttpSource
from factory_pipeline.archives.object_source import OBJECT_STORES, FsspecSource, ObjectSource
from factory_pipeline.archives.source import ArchiveSource, LocalSource
from factory_pipeline.archives.url_policy import check_scheme, local_path
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.storage.atomic import disk_is_full
from factory_pipeline.storage.resume_download import resume_download


def open_source(url: str, policy: IntakePolicy) -> ArchiveSource:
    """Return the archive at an address or path, ready to be read.

    Args:
        url: `http(s)://`, `file://`, an address of an object store (`s3://`, `gs://`, `az://`), one of
            another scheme that fsspec reads, or a path.
        policy: its `schemes` and `folders` are all that may be opened; its `max_archive_bytes` is compared
            with the size that the host reports.

    Returns:
        The open archive; the caller closes it.

    Raises:
        OnboardingError: SCHEME_NOT_ALLOWED, ADDRESS_NOT_ALLOWED, URL_UNREACHABLE, ARCHIVE_TOO_LARGE.
    """
    scheme = check_scheme(url, policy)
    source: ArchiveSource
    if scheme == "file":
        source = LocalSource(local_path(url, policy))
    elif scheme in ("http", "https"):
        source = HttpSource(url, policy)
    elif scheme in OBJECT_STORES:
        source = ObjectSource(url)
    else:
        source = FsspecSource(url)
    if source.size is not None and source.size > policy.max_archive_bytes:
        source.close()
        raise _too_large_error(source, source.size, policy)
    return source


def fetch(source: ArchiveSource, target: Path, policy: IntakePolicy) -> None:
    """Download an archive to `target`, which appears atomically.

    A broken connection is resumed where it broke, as long as each try brings something or retries are left;
    what was received stays beside `target` under a name that contains the version, so that a later call goes
    on from there too.

    Args:
        source: the open archive.
        target: path of the finished file; its folder is made if it is missing.
        policy: its `retries` and `max_archive_bytes` apply.

    Raises:
        OnboardingError: URL_UNREACHABLE, SOURCE_CHANGED, ARCHIVE_TOO_LARGE, DISK_FULL.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(part_name(source, target))
    if not (source.ranged and source.version):
        part.unlink(missing_ok=True)
    try:
        resume_download(
            part,
            lambda start: _pieces(source, start, policy),
            is_transient=lambda error: getattr(error, "code", None) == "URL_UNREACHABLE",
            retries=policy.retries,
            resumable=source.ranged,
        )
    except OSError as error:
        if not disk_is_full(error):
            raise
        part.unlink(missing_ok=True)
        raise OnboardingError("DISK_FULL", f"There is no space left to download {source.url}.") from error
    except OnboardingError as error:
        if error.code == "ARCHIVE_TOO_LARGE":
            part.unlink(missing_ok=True)
        raise
    part.replace(target)


def part_name(source: ArchiveSource, target: Path) -> str:
    """Return what an unfinished download is called; each state of the source has another name.

    Args:
        source: its address, version and size are in the name as a digest.
        target: path of the finished file.

    Returns:
        A hidden file name, without folder; the part belongs beside `target`.
    """
    state = hashlib.sha256(f"{source.url}\n{source.version}\n{source.size}".encode()).hexdigest()[:12]
    return f".{target.name}.{state}.part"


def _pieces(source: ArchiveSource, start: int, policy: IntakePolicy) -> Iterator[bytes]:
    """Give the bytes of an archive from `start` on: as many as its host announced, and not too many."""
    received = start
    if source.size is None or received < source.size:
        for piece in source.stream(start):
            received += len(piece)
            if received > policy.max_archive_bytes:
                raise _too_large_error(source, received, policy)
            yield piece
    if source.size is not None and received != source.size:
        raise OnboardingError(
            "URL_UNREACHABLE", f"{source.url} broke off after {received} of {source.size} bytes."
        )


def _too_large_error(source: ArchiveSource, size: int, policy: IntakePolicy) -> OnboardingError:
    return OnboardingError(
        "ARCHIVE_TOO_LARGE",
        f"{source.url} has at least {size} bytes; {policy.max_archive_bytes} are allowed.",
    )
