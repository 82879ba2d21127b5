"""The pre-scan: what an upload holds, from its list of members and their headers, before the download."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.archive import (
    ArchiveKind,
    Meter,
    archive_kind,
    open_tar,
    open_zip,
    zip_files,
)
from factory_pipeline.onboarding.download import open_source
from factory_pipeline.onboarding.gather import in_order
from factory_pipeline.onboarding.headers import file_frame, file_row, read_header
from factory_pipeline.onboarding.known_collections import describe_bands, fitting_collections
from factory_pipeline.onboarding.manifest import UploadManifest
from factory_pipeline.onboarding.matching import IMAGE, LABEL, Role, Suffixes, common_endings
from factory_pipeline.onboarding.members import Gate, tar_member
from factory_pipeline.onboarding.pairing import Check, header_checks
from factory_pipeline.onboarding.policy import IntakePolicy
from factory_pipeline.onboarding.source import LocalSource, Source
from factory_pipeline.onboarding.zip_reader import HeadGroup, MemberFile, head_groups

LOCAL_WORKERS = 4


@dataclass(frozen=True)
class PrescanReport:
    """What an upload holds."""

    files: pl.DataFrame
    """Every image and label with what its header says (headers.FILE_SCHEMA)."""
    others: tuple[str, ...]
    """Files that are neither."""
    checks: tuple[Check, ...]
    """What the names and headers tell of the pairing."""
    notes: tuple[str, ...]
    """What is allowed but worth knowing, such as suffixes of which one ends in another."""
    archive_bytes: int
    """Size of the archive."""
    bytes_read: int
    """How much of it was received."""

    @property
    def images(self) -> int:
        """Files that are images, of all modalities."""
        return self.files.filter(pl.col("role") == IMAGE).height

    @property
    def labels(self) -> int:
        """Files that are labels."""
        return self.files.filter(pl.col("role") == LABEL).height

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


def prescan(
    url: str, training_data_suffixes: tuple[str, ...], label_suffix: str, policy: IntakePolicy
) -> PrescanReport:
    """Count and match the images and labels of an upload and read the headers of all of them.

    Of a zip only the central directory and the headers are read. A tar must be read from its start: a local
    one is, for a remote one the error says that it needs the download.

    Raises:
        OnboardingError: NEEDS_DOWNLOAD for a remote tar, RANGES_UNSUPPORTED where the host can't serve parts;
            and what opening a source and listing an archive raise.
    """
    suffixes = Suffixes(tuple(training_data_suffixes), label_suffix)
    with open_source(url, policy) as source:
        if archive_kind(source) is ArchiveKind.ZIP:
            names, files = _scan_zip(source, suffixes, policy)
        elif isinstance(source, LocalSource):
            names, files = _scan_tar(source, suffixes, policy)
        else:
            raise OnboardingError(
                "NEEDS_DOWNLOAD",
                f"{source.url} is a tar archive, which must be downloaded whole before its files are known.",
            )
        taken = set(files["name"])
        others = tuple(sorted(name for name in names if name not in taken))
        return PrescanReport(
            files=files,
            others=others,
            checks=header_checks(files, suffixes, policy.max_pixels),
            notes=_notes(suffixes, files, others),
            archive_bytes=source.size or 0,
            bytes_read=source.bytes_read,
        )


def prefill(report: PrescanReport, manifest: UploadManifest) -> UploadManifest:
    """The manifest with the bands of each data source that names none, as the files name them.

    A band that no file names is called by its number, its scaling factor is 1. What is known of the bands of
    the data source's collection is filled in.
    """
    given = {
        source.file_suffix or manifest.training_data_suffixes[0]: source for source in manifest.data_sources
    }
    sources: list[dict[str, Any]] = []
    for suffix, modality in manifest.modalities.items():
        found = report.files.filter((pl.col("suffix") == suffix) & (pl.col("role") == IMAGE))
        source: dict[str, Any] = {"modality_tag": modality}
        if suffix in given:
            source = given[suffix].model_dump()
        names = _band_names_of(found)
        dtypes = found["dtype"].drop_nulls().unique().to_list()
        bands = describe_bands(
            source.get("collection", ""),
            source.get("bands") or _numbered(names),
            are_named=bool(source.get("bands")) or any(names),
            dtype=dtypes[0] if len(dtypes) == 1 else None,
        )
        sources.append(source | {"file_suffix": suffix, "bands": bands})
    document = manifest.model_dump() | {"data_sources": sources}
    return UploadManifest.parse(document, where=manifest.dataset_name)


def _band_names_of(images: pl.DataFrame) -> list[str]:
    """The names that most files have; a band without a name has an empty one."""
    named = images.drop_nulls("band_names")
    if not named.height:
        return []
    names = (
        named.group_by("band_names")
        .len()
        .sort("len", "band_names", descending=[True, False])["band_names"][0]
    )
    return [(name or "").strip() for name in names]


def _numbered(names: list[str]) -> list[dict[str, Any]]:
    texts = [name or f"Band {index}" for index, name in enumerate(names)]
    twice = {text for text in texts if texts.count(text) > 1}
    return [
        {"index": index, "band_name": f"{text} {index}" if text in twice else text}
        for index, text in enumerate(texts)
    ]


def _scan_zip(source: Source, suffixes: Suffixes, policy: IntakePolicy) -> tuple[list[str], pl.DataFrame]:
    with open_zip(source, policy) as listed:
        members = zip_files(listed, source.url, policy)
    roles = {name: role for name in members if (role := suffixes.role_of(name)) is not None}
    groups = head_groups({name: members[name] for name in roles}, source.size or 0)

    def rows_of(group: HeadGroup) -> list[dict[str, Any]]:
        head = source.read(group.start, group.end - group.start)
        rows = []
        for name, info in group.members:
            with MemberFile(source, info, head, group.start, policy.max_header_bytes) as file:
                header = read_header(file)  # type: ignore[arg-type]
            rows.append(file_row(name, roles[name], info.file_size, header))
        return rows

    workers = LOCAL_WORKERS if source.local else policy.concurrency
    return list(members), file_frame(chain.from_iterable(in_order(rows_of, groups, workers)))


def _scan_tar(
    source: LocalSource, suffixes: Suffixes, policy: IntakePolicy
) -> tuple[list[str], pl.DataFrame]:
    gate = Gate(source.path.name, policy)
    meter = Meter(source.path.name, policy, source.size)

    def rows() -> Iterator[dict[str, Any]]:
        with open_tar(source.path, meter.count) as members:
            for listed, info in members:
                member = tar_member(info, source.path.name)
                if not gate.admits(member):
                    continue
                role: Role | None = suffixes.role_of(member.name)
                if role is None:
                    continue
                file = listed.extractfile(info)
                assert file is not None
                head = io.BytesIO(file.read(policy.max_header_bytes))
                yield file_row(member.name, role, member.size, read_header(head))

    files = file_frame(rows())
    gate.check_not_empty()
    return gate.files, files


def _notes(suffixes: Suffixes, files: pl.DataFrame, others: tuple[str, ...]) -> tuple[str, ...]:
    notes = [
        f"The suffix {longer!r} ends in {shorter!r}; a file that fits both counts for {longer!r}."
        for longer, shorter in suffixes.overlapping()
    ]
    if others:
        notes.append(
            f"Files that are neither image nor label: {len(others)}, by ending {common_endings(others)}."
        )
    if files["nodata"].n_unique() > 1:
        notes.append("The files declare different no data values.")
    for suffix in suffixes.images:
        images = files.filter((pl.col("suffix") == suffix) & (pl.col("role") == IMAGE))
        if several := _sizes(images):
            notes.append(f"Images that end in {suffix!r} have {several}; a batch of a training takes one.")
        names = _band_names_of(images)
        fitting = fitting_collections(names)
        if fitting:
            notes.append(f"The bands of {suffix!r} have the names of {' or '.join(fitting)}.")
    return tuple(notes)


def _sizes(images: pl.DataFrame) -> str:
    """The sizes of images, the most frequent first; empty where all have one."""
    sizes = images.drop_nulls("width").group_by("width", "height").len()
    common = sizes.sort("len", "width", "height", descending=True).head(3).rows()
    listed = ", ".join(f"{count} of {width} x {height}" for width, height, count in common)
    return f"{sizes.height} sizes ({listed})" if sizes.height > 1 else ""
