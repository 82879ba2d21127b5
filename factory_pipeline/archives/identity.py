"""What identifies the content of an archive, where possible without reading all of it."""

import hashlib

import polars as pl

from factory_pipeline.archives.extract import ArchiveKind, archive_kind, zip_members
from factory_pipeline.archives.source import ArchiveSource
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.row_frames import frame_of


def archive_identity(source: ArchiveSource, policy: IntakePolicy) -> str:
    """Return what identifies the content of an archive, in hex: the same files have the same identity.

    For a zip that can be read in parts it is a digest of names, sizes and checksums of the central directory,
    without the times. Otherwise it is what the host reports about the state of a remote file, or the SHA-256
    of the content if the file is local or its host reports nothing.

    Args:
        source: the open archive.
        policy: its limits apply to what is read.

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
    """Return whether an archive can be identified only by reading all of its bytes.

    Raises:
        OnboardingError: as `archive_kind`.
    """
    has_list = source.ranged and archive_kind(source) is ArchiveKind.ZIP
    return not has_list and (source.local or not source.version)


def content_digest(source: ArchiveSource, policy: IntakePolicy) -> str:
    """Return the SHA-256 of an archive in hex; if a remote one breaks off, it is read from its start again.

    Args:
        source: the open archive; it is streamed from its first byte.
        policy: its `retries` and `max_archive_bytes` apply.

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
    raise AssertionError("the last attempt returns or raises")
