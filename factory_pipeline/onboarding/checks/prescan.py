"""The pre-scan: the contents of an upload before the download, from its list of members and headers."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.archives.download import open_source
from factory_pipeline.archives.extract import (
    ArchiveKind,
    DecompressionLimit,
    archive_errors,
    archive_kind,
    open_tar,
    zip_files,
)
from factory_pipeline.archives.safe_names import MemberFilter, tar_member
from factory_pipeline.archives.source import ArchiveSource, LocalSource
from factory_pipeline.archives.zip_reader import HeadGroup, MemberFile, ZipMember, head_groups
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.headers import FILE_SCHEMA, file_row
from factory_pipeline.imagery.known_tiffs import quick_header
from factory_pipeline.imagery.row_frames import frame_of, frames_of, rows_in, write_frames
from factory_pipeline.onboarding.checks.band_order import bands_named_alike
from factory_pipeline.onboarding.checks.check import Check
from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL, Suffixes, common_endings
from factory_pipeline.onboarding.checks.pairing import header_checks
from factory_pipeline.onboarding.manifest.known_collections import describe_bands, fitting_collections
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.thread_map import map_in_threads

LOCAL_WORKERS = 1
"""Reading a header from a disk only uses the processor, so threads would slow it down."""
MEMBER_SCHEMA = {
    "name": pl.String,
    "method": pl.UInt16,
    "packed_bytes": pl.UInt64,
    "bytes": pl.UInt64,
    "place": pl.UInt64,
}
"""The fields of zip_reader.ZipMember, in their order."""


@dataclass(frozen=True)
class PrescanReport:
    """The contents of an upload."""

    files: pl.LazyFrame
    """Every image and label with its header (headers.FILE_SCHEMA), in any order."""
    others: tuple[str, ...]
    """Files that are neither image nor label."""
    checks: tuple[Check, ...]
    """The checks of names, headers and pairing."""
    notes: tuple[str, ...]
    """Notes on what is allowed but unusual, such as suffixes of which one ends with another."""
    archive_bytes: int
    """Size of the archive in bytes."""
    bytes_read: int
    """Bytes of it that were received."""

    @property
    def images(self) -> int:
        """Files that are images, of all modalities."""
        return rows_in(self.files.filter(pl.col("role") == IMAGE))

    @property
    def labels(self) -> int:
        """Files that are labels."""
        return rows_in(self.files.filter(pl.col("role") == LABEL))

    def images_of(self, suffix: str) -> pl.LazyFrame:
        """Return the rows of the images with a suffix."""
        return images_of(self.files, suffix)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values; the properties of a suffix are those of its first file."""
        groups = self.files.sort("name").group_by("role", "suffix", maintain_order=True)
        first = groups.agg(pl.len().alias("files"), pl.all().first())
        told = ("role", "suffix", "files", "bands", "band_names", "dtype", "width", "height", "crs", "nodata")
        return {
            "passed": self.passed,
            "images": self.images,
            "labels": self.labels,
            "suffixes": first.select(told).collect().to_dicts(),
            "checks": [asdict(check) for check in self.checks],
            "notes": list(self.notes),
            "other_files": list(self.others),
            "archive_bytes": self.archive_bytes,
            "bytes_read": self.bytes_read,
        }


def images_of(files: pl.LazyFrame, suffix: str) -> pl.LazyFrame:
    """Return the rows of the images with a suffix, from a table in headers.FILE_SCHEMA.

    Args:
        files: in headers.FILE_SCHEMA.
        suffix: of the manifest, as the table has it.
    """
    return files.filter((pl.col("suffix") == suffix) & (pl.col("role") == IMAGE))


def prescan(
    url: str,
    training_data_suffixes: tuple[str, ...],
    label_suffix: str,
    policy: IntakePolicy,
    table: Path | None = None,
    *,
    labels_take_crs: bool = False,
    split_folders: tuple[str, ...] = (),
) -> PrescanReport:
    """Count and match the images and labels of an upload and read the headers of all of them.

    Of a zip only the central directory and the headers are read. A tar must be read from its start: a local
    one is read, for a remote one the error says that it must be downloaded.

    Args:
        url: address of the archive.
        training_data_suffixes: of the images, one per modality.
        label_suffix: of the labels.
        policy: what may be opened, and limits.
        table: path for the table of files (Parquet); None keeps it in memory.
        split_folders: folders that define the split; files in different ones may have the same name.
        labels_take_crs: labels without a CRS get that of their image.

    Raises:
        OnboardingError: NEEDS_DOWNLOAD for a remote tar, RANGES_UNSUPPORTED if the host can't serve parts;
            and what opening a source and listing an archive raise.
    """
    suffixes = Suffixes(tuple(training_data_suffixes), label_suffix, split_folders)
    with open_source(url, policy) as source:
        return prescan_source(source, suffixes, policy, table, labels_take_crs=labels_take_crs)


def prescan_source(
    source: ArchiveSource,
    suffixes: Suffixes,
    policy: IntakePolicy,
    table: Path | None = None,
    *,
    labels_take_crs: bool = False,
) -> PrescanReport:
    """As `prescan`, for an open archive; errors name it by its `url`."""
    others: list[str] = []
    if archive_kind(source) is ArchiveKind.ZIP:
        rows = _scan_zip(source, suffixes, policy, others)
    elif isinstance(source, LocalSource):
        rows = _scan_tar(source, suffixes, policy, others)
    else:
        raise OnboardingError(
            "NEEDS_DOWNLOAD",
            f"{source.url} is a tar archive, which must be downloaded before its files can be listed.",
        )
    if table is None:
        files = frame_of(rows, FILE_SCHEMA).lazy()
    else:
        write_frames(table, frames_of(rows, FILE_SCHEMA))
        files = pl.scan_parquet(table)
    others.sort()
    return PrescanReport(
        files=files,
        others=tuple(others),
        checks=(
            *header_checks(files, suffixes, policy, labels_take_crs=labels_take_crs),
            bands_named_alike(files),
        ),
        notes=_notes(suffixes, files, others),
        archive_bytes=source.size or 0,
        bytes_read=source.bytes_read,
    )


def prefill(report: PrescanReport, manifest: UploadManifest) -> UploadManifest:
    """Fill in the bands of data sources that name none, as the files name them.

    A band that no file names is named by its number, its scaling factor is 1. The known properties of the
    bands of the data source's collection are filled in.

    Args:
        report: of the pre-scan.
        manifest: of the user.

    Returns:
        A manifest with one data source for each suffix of images, in their order.
    """
    given = {
        source.file_suffix or manifest.training_data_suffixes[0]: source for source in manifest.data_sources
    }
    sources: list[dict[str, Any]] = []
    for suffix, modality in manifest.modalities.items():
        found = report.images_of(suffix)
        source: dict[str, Any] = {"modality_tag": modality}
        if suffix in given:
            source = given[suffix].model_dump()
        names = _band_names_of(found)
        dtypes = found.select(pl.col("dtype").drop_nulls().unique()).collect()["dtype"].to_list()
        bands = describe_bands(
            source.get("collection", ""),
            source.get("bands") or _number_bands(names),
            are_named=bool(source.get("bands")) or any(names),
            dtype=dtypes[0] if len(dtypes) == 1 else None,
        )
        sources.append(source | {"file_suffix": suffix, "bands": bands})
    document = manifest.model_dump() | {"data_sources": sources}
    return UploadManifest.parse(document, where=manifest.dataset_name)


def _band_names_of(images: pl.LazyFrame) -> list[str]:
    """Return the names that most files have; a band without a name has an empty one."""
    named = images.drop_nulls("band_names").group_by("band_names").len()
    common = named.sort("len", "band_names", descending=[True, False]).head(1).collect()
    return [(name or "").strip() for name in common["band_names"][0]] if common.height else []


def _number_bands(names: list[str]) -> list[dict[str, Any]]:
    texts = [name or f"Band {index}" for index, name in enumerate(names)]
    twice = {text for text in texts if texts.count(text) > 1}
    return [
        {"index": index, "band_name": f"{text} {index}" if text in twice else text}
        for index, text in enumerate(texts)
    ]


def _scan_zip(
    source: ArchiveSource, suffixes: Suffixes, policy: IntakePolicy, others: list[str]
) -> Iterator[dict[str, Any]]:
    def asked() -> Iterator[dict[str, Any]]:
        for name, info in zip_files(source, source.url, policy):
            if suffixes.role_of(name) is None:
                others.append(name)
            else:
                yield {
                    "name": name,
                    "method": info.compress_type,
                    "packed_bytes": info.compress_size,
                    "bytes": info.file_size,
                    "place": info.header_offset,
                }

    def rows_of(group: HeadGroup) -> list[dict[str, Any]]:
        head = source.read(group.start, group.end - group.start)
        rows = []
        for member in group.members:
            role = suffixes.role_of(member.name)
            assert role is not None
            with MemberFile(source, member, head, group.start, policy.max_header_bytes) as file:
                header = quick_header(file)  # type: ignore[arg-type]
            rows.append(file_row(member.name, role, member.bytes, header))
        return rows

    members = frame_of(asked(), MEMBER_SCHEMA).sort("place")
    groups = head_groups(map(ZipMember._make, members.iter_rows()), source.size or 0)
    workers = LOCAL_WORKERS if source.local else policy.concurrency
    return chain.from_iterable(map_in_threads(rows_of, groups, workers))


def _scan_tar(
    source: LocalSource, suffixes: Suffixes, policy: IntakePolicy, others: list[str]
) -> Iterator[dict[str, Any]]:
    # A local path by its last part, an address in full.
    archive = source.url.rpartition("/")[2] if source.url == str(source.path) else source.url
    gate = MemberFilter(archive, policy)
    meter = DecompressionLimit(archive, policy, source.size)
    with open_tar(source, meter.count, archive) as members:
        for listed, info in members:
            member = tar_member(info, archive)
            if not gate.accepts(member):
                continue
            role = suffixes.role_of(member.name)
            if role is None:
                others.append(member.name)
                continue
            file = listed.extractfile(info)
            assert file is not None
            with archive_errors(f"{archive} at {member.name!r}", "ARCHIVE_CORRUPT"):
                head = io.BytesIO(file.read(policy.max_header_bytes))
            yield file_row(member.name, role, member.size, quick_header(head))
    gate.check_not_empty()


def _notes(suffixes: Suffixes, files: pl.LazyFrame, others: Sequence[str]) -> tuple[str, ...]:
    notes = [
        f"The suffix {longer!r} ends with {shorter!r}; a file that matches both counts for {longer!r}."
        for longer, shorter in suffixes.overlapping()
    ]
    if others:
        notes.append(
            f"Files that are neither image nor label: {len(others)}, by ending {common_endings(others)}."
        )
    # Images and labels may well differ: no data of the one says nothing of the other.
    declared = files.group_by("role", "suffix").agg(pl.col("nodata").n_unique())
    differing = declared.filter(pl.col("nodata") > 1).sort("role", "suffix").collect()
    notes.extend(
        f"Files that end with {suffix!r} declare different nodata values." for suffix in differing["suffix"]
    )
    turned = rows_in(files.filter(pl.col("orientation").is_not_null()))
    if turned:
        notes.append(
            f"Files whose orientation (EXIF or TIFF) says that they must be turned: {turned}; the dataset"
            " has them upright, as viewers show them."
        )
    for suffix in suffixes.images:
        images = images_of(files, suffix)
        if several := _sizes(images):
            notes.append(f"Images that end with {suffix!r} have {several}; a training batch needs one.")
        names = _band_names_of(images)
        fitting = fitting_collections(names)
        if fitting:
            notes.append(
                f"The bands of {suffix!r} have the names of {' or '.join(fitting)}: `collection` of a data"
                " source in the manifest can say which it is, and fills in what is known of its bands."
            )
    return tuple(notes)


def _sizes(images: pl.LazyFrame) -> str:
    """Return the sizes of images, the most frequent first; empty if all have the same."""
    sizes = images.drop_nulls("width").group_by("width", "height").len().collect()
    common = sizes.sort("len", "width", "height", descending=True).head(3).rows()
    listed = ", ".join(f"{count} of {width} x {height}" for width, height, count in common)
    return f"{sizes.height} sizes ({listed})" if sizes.height > 1 else ""
