"""Verifying versions and exports: every hash is computed again, and differences are reported."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from factory_pipeline.builds.verification.report import VerificationReport, VerifiedSubject
from factory_pipeline.datalake.registry.records import ExportState, Version, VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.download import MARKER
from factory_pipeline.datasets.exports.find_damage import find_damage
from factory_pipeline.datasets.exports.formats import format_named
from factory_pipeline.datasets.exports.listing import LISTING, read_exported
from factory_pipeline.datasets.versions.manifest import check_manifest, read_rows
from factory_pipeline.datasets.versions.media import MediaReader
from factory_pipeline.errors import ArgumentError, ExportError, LakeError
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.layout import FactoryHome

_NAMED = re.compile(r"(?P<dataset>.+)@(?P<number>\d+\.\d+\.\d+)")


def is_export(folder: Path) -> bool:
    """Return whether a folder contains an export, or a download of one, finished or not."""
    return any((folder / name).exists() for name in (LISTING, MARKER))


def verify_export(folder: Path) -> VerificationReport:
    """Compare every file of an export, or of a download of one, with the hash in its listing.

    A download of only the annotations is verified without the media.
    """
    return VerificationReport(str(folder), "export", "exports", 1, [_verify_files(folder)])


def verify_version(registry: Registry, home: FactoryHome, named: str) -> VerificationReport:
    """Compare a version with its hashes: its manifest, the rasters of its items, and its exports.

    Args:
        registry: contains the version.
        home: contains its files.
        named: the id of a version, or `name@1.0.0`.

    Raises:
        ArgumentError: there is no such version.
        RegistryError: the version is not ready.
    """
    with registry.reading(_version(registry, named).id) as version:
        dataset = registry.dataset(version.dataset_id)
        manifest = home.version(version.id).manifest
        subjects = [_manifest(manifest, version)]
        if subjects[0].passed:
            subjects.append(_rasters(manifest, home))
        for export in registry.exports(version.id):
            if export.state is ExportState.READY:
                folder = home.version(version.id).export(format_named(export.type).slug)
                subjects.append(_verify_files(folder, export.content_hash))
    return VerificationReport(
        f"{dataset.name}@{version.number} ({version.id})", "version", "parts", len(subjects), subjects
    )


def _version(registry: Registry, named: str) -> Version:
    """Return the version with an id, or a name and number."""
    if named in registry.version_ids():
        return registry.version(named)
    datasets = {dataset.name: dataset for dataset in registry.datasets()}
    ready = {
        f"{name}@{version.number}": version
        for name, dataset in datasets.items()
        for version in registry.versions(dataset.id)
        if version.state is VersionState.READY
    }
    if named in ready:
        return ready[named]
    parts = _NAMED.fullmatch(named)
    there = [name for name in ready if parts is None or name.startswith(f"{parts['dataset']}@")] or list(
        ready
    )
    has = f"there are {', '.join(there)}" if there else "there is no version yet"
    raise ArgumentError(
        "target", named, f"it must be a folder with an export, the id of a version, or name@number; {has}"
    )


def _manifest(path: Path, version: Version) -> VerifiedSubject:
    try:
        header = check_manifest(path, version.content_hash)
    except LakeError as error:
        return VerifiedSubject("manifest.parquet", (str(error),))
    return VerifiedSubject(f"manifest.parquet ({count_noun(sum(header.items.values()), 'item')})")


def _rasters(manifest: Path, home: FactoryHome) -> VerifiedSubject:
    """Compare the images, masks and measured values of all items with the hashes in the manifest."""
    reader, checked, differences = MediaReader(home), 0, dict[str, None]()
    try:
        for place in _places(manifest):
            checked += 1
            try:
                reader.check(place)
            except LakeError as error:
                differences[str(error)] = None
    finally:
        reader.close()
    return VerifiedSubject(f"images and labels ({count_noun(checked, 'raster')})", tuple(differences))


def _places(manifest: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the rasters that the items of a manifest refer to, each once per item."""
    for rows in read_rows(manifest, "media", "annotations"):
        for media, annotations in rows.iter_rows():
            found = {}
            for place in (*media, *(each["raster"] for each in annotations if each["raster"] is not None)):
                found[place["path"], place["member"], place["row"]] = place
            yield from found.values()


def _verify_files(folder: Path, content_hash: str | None = None) -> VerifiedSubject:
    """Verify the files of an export."""
    try:
        listed = read_exported(folder)
    except ExportError as error:
        unfinished = (folder / MARKER).exists() and not (folder / LISTING).exists()
        told = (
            "The download is not finished; start it again with the same folder." if unfinished else str(error)
        )
        return VerifiedSubject(folder.name, (told,))
    # A download does not store whether media were requested: without any they were not.
    media = [file for file in listed.files if file.media]
    without = (
        bool(media)
        and (folder / MARKER).exists()
        and not any((folder / each.path).exists() for each in media)
    )
    count = len(listed.files) - (len(media) if without else 0)
    title = f"{listed.format} export of {listed.dataset} {listed.version} ({count_noun(count, 'file')}"
    title += ", downloaded without media)" if without else ")"
    return VerifiedSubject(title, tuple(find_damage(folder, content_hash, media=not without)))
