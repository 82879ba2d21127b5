"""Opening an archive by its address, and bringing it here."""

import hashlib
import os
from pathlib import Path

from factory_pipeline.archives.http_source import HttpSource
from factory_pipeline.archives.object_source import OBJECT_STORES, FsspecSource, ObjectSource
from factory_pipeline.archives.source import ArchiveSource, LocalSource
from factory_pipeline.archives.url_policy import check_scheme, local_path
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.storage.atomic import disk_is_full


def open_source(url: str, policy: IntakePolicy) -> ArchiveSource:
    """The archive at an address or path, ready to be read.

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
        raise _too_large(source, source.size, policy)
    return source


def fetch(source: ArchiveSource, target: Path, policy: IntakePolicy) -> None:
    """Download an archive to `target`, which is there whole or not at all.

    A broken connection is taken up where it broke, as long as each try brings something or retries are
    left; what was received stays beside `target` under a name that holds the version, so that a later call
    goes on from there too.

    Raises:
        OnboardingError: URL_UNREACHABLE, SOURCE_CHANGED, ARCHIVE_TOO_LARGE, DISK_FULL.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(part_name(source, target))
    if not (source.ranged and source.version):
        part.unlink(missing_ok=True)
    failures = 0
    while True:
        had = part.stat().st_size if part.exists() else 0
        try:
            _append(source, part, policy)
            break
        except OnboardingError as error:
            gained = part.exists() and part.stat().st_size > had
            failures = 0 if gained and source.ranged else failures + 1
            if error.code != "URL_UNREACHABLE" or failures > policy.retries:
                raise
            if not source.ranged:
                part.unlink(missing_ok=True)
    part.replace(target)


def part_name(source: ArchiveSource, target: Path) -> str:
    """What an unfinished download is called; each state of the source has another name."""
    state = hashlib.sha256(f"{source.url}\n{source.version}\n{source.size}".encode()).hexdigest()[:12]
    return f".{target.name}.{state}.part"


def _append(source: ArchiveSource, part: Path, policy: IntakePolicy) -> None:
    try:
        with part.open("ab") as file:
            received = file.tell()
            if source.size is None or received < source.size:
                for piece in source.stream(received):
                    received += len(piece)
                    if received > policy.max_archive_bytes:
                        raise _too_large(source, received, policy)
                    file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if not disk_is_full(error):
            raise
        part.unlink(missing_ok=True)
        raise OnboardingError("DISK_FULL", f"There is no space left to download {source.url}.") from error
    except OnboardingError as error:
        if error.code == "ARCHIVE_TOO_LARGE":
            part.unlink(missing_ok=True)
        raise
    if source.size is not None and received != source.size:
        raise OnboardingError(
            "URL_UNREACHABLE", f"{source.url} broke off after {received} of {source.size} bytes."
        )


def _too_large(source: ArchiveSource, size: int, policy: IntakePolicy) -> OnboardingError:
    return OnboardingError(
        "ARCHIVE_TOO_LARGE",
        f"{source.url} has at least {size} bytes; {policy.max_archive_bytes} are allowed.",
    )
