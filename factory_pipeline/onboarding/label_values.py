"""The values of the masks of an archive, read before it is onboarded."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from factory_pipeline.archives.download import open_source
from factory_pipeline.archives.extract import (
    NO_MEMBERS,
    ArchiveKind,
    DecompressionLimit,
    archive_errors,
    archive_kind,
    open_tar,
    zip_files,
)
from factory_pipeline.archives.safe_names import MemberFilter, tar_member
from factory_pipeline.archives.source import ArchiveSource, LocalSource, SourceFile
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.checks.file_contents import scan_contents
from factory_pipeline.onboarding.checks.file_roles import LABEL, Suffixes

MASKS_AT_ONCE = 64
"""Largest number of masks that are on disk at the same time."""
MOST_CLASSES = 256


def label_values(
    url: str, suffixes: Suffixes, policy: IntakePolicy, nodata: float | None = None
) -> list[int]:
    """Read every mask of an archive, from a remote zip by ranges, and return the values in ascending order.

    Args:
        url: address or path of the archive.
        suffixes: of its images and labels.
        policy: what may be opened, and limits.
        nodata: a value that is not a class, beside those that the masks declare.

    Raises:
        OnboardingError: NO_FILES, there is no mask; NEEDS_DOWNLOAD for a remote tar; CHECK_FAILED, a mask
            can't be read, or the labels contain values that are not classes.
    """
    found: set[float] = set()
    masks = 0
    with open_source(url, policy) as source, tempfile.TemporaryDirectory() as temporary:
        labels = _labels(source, suffixes, policy)
        folder = Path(temporary) / "masks"
        while some := _write_labels(islice(labels, MASKS_AT_ONCE), folder, source.url):
            masks += some
            for row in scan_contents(folder, suffixes, policy):
                if reason := row["error"] or row["read_error"]:
                    raise OnboardingError(
                        "CHECK_FAILED", f"The label {Path(row['name']).name} can't be read: {reason}."
                    )
                found.update(row["values"] or ())
            shutil.rmtree(folder)
    if not masks:
        raise OnboardingError("NO_FILES", f"No file of {source.url} ends with {suffixes.label!r}.")
    values = sorted(found - {nodata})
    unfit = [value for value in values if value != int(value) or not 0 <= value <= 65535]
    if unfit or len(values) > MOST_CLASSES:
        example = f"such as {unfit[0]:g}" if unfit else f"{len(values)} of them"
        raise OnboardingError(
            "CHECK_FAILED",
            f"The labels of {source.url} are not masks of classes: they contain other values ({example});"
            f" classes are whole numbers from 0 to 65535, {MOST_CLASSES} at most.",
        )
    return [int(value) for value in values]


def _write_labels(labels: Iterator[tuple[str, IO[bytes]]], folder: Path, archive: str) -> int:
    """Write some labels into a folder under new names; return their number.

    Raises:
        OnboardingError: ARCHIVE_CORRUPT, a label can't be read.
    """
    written = 0
    for name, file in labels:
        folder.mkdir(exist_ok=True)
        path = folder / f"{written}-{Path(name).name}"
        with path.open("wb") as target, archive_errors(f"{archive} at {name!r}", "ARCHIVE_CORRUPT"):
            shutil.copyfileobj(file, target)
        written += 1
    return written


def _labels(
    source: ArchiveSource, suffixes: Suffixes, policy: IntakePolicy
) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the labels of an archive with their names; each must be read before the next."""
    if archive_kind(source) is ArchiveKind.ZIP:
        with zipfile.ZipFile(SourceFile(source, NO_MEMBERS)) as unlisted:
            for name, info in zip_files(source, source.url, policy):
                if _is_label(name, suffixes):
                    place = f"{source.url} at {name!r}"
                    with archive_errors(place, "ARCHIVE_CORRUPT"), unlisted.open(info) as file:
                        yield name, file
    elif isinstance(source, LocalSource):
        gate = MemberFilter(source.url, policy)
        meter = DecompressionLimit(source.url, policy, source.size)
        with open_tar(source, meter.count, source.url) as members:
            for listed, entry in members:
                member = tar_member(entry, source.url)
                if gate.accepts(member) and _is_label(member.name, suffixes):
                    unpacked = listed.extractfile(entry)
                    assert unpacked is not None
                    yield member.name, unpacked
    else:
        raise OnboardingError(
            "NEEDS_DOWNLOAD",
            f"{source.url} is a tar archive, whose masks can't be read before it is downloaded; set the"
            " categories.",
        )


def _is_label(name: str, suffixes: Suffixes) -> bool:
    role = suffixes.role_of(name)
    return role is not None and role.role == LABEL
