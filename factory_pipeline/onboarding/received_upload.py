"""A received upload: a manifest and its archive, under a key that identifies the content of both."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from factory_pipeline.archives.download import open_source
from factory_pipeline.archives.identity import archive_identity
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.manifest.location import absolute_location
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.redaction import display
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.upload_files import UploadFiles


@dataclass(frozen=True)
class ReceivedUpload:
    """One upload.

    The address is not stored here, as it may contain a secret: it stays in the user's manifest.
    """

    key: str
    """`name@version`."""
    manifest_file: str
    """Path of the user's manifest, or its address in an object store."""
    identity: str
    """What identifies the content of the archive."""
    received: str
    """When it was received (ISO 8601, UTC).

    Later stages date their files by it, so that a rerun changes none.
    """

    @property
    def received_at(self) -> datetime:
        """When it was received."""
        return datetime.fromisoformat(self.received)

    def save(self, path: Path) -> None:
        """Write the upload as JSON, atomically."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, files: UploadFiles) -> Self:
        """Read what `save` wrote.

        Raises:
            OnboardingError: MANIFEST_INVALID, nothing was received under this key.
        """
        if not files.received.exists():
            raise OnboardingError(
                "MANIFEST_INVALID", f"No upload {files.root.name} was received; drop its manifest again."
            )
        return cls(**json.loads(files.received.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class ArchiveState:
    """The state of an archive before it is received."""

    identity: str
    """What identifies its content."""
    bytes: int | None
    """Its size in bytes; None if the host does not say."""


def identify(manifest: UploadManifest, policy: IntakePolicy) -> ArchiveState:
    """Identify the content of a manifest's archive, by a request to its address.

    Args:
        manifest: of the upload.
        policy: limits what may be opened and read.

    Returns:
        The identity and the size in bytes, None if the host does not report it.

    Raises:
        OnboardingError: the archive can't be opened, or is not an archive.
    """
    with open_source(manifest.dataset_url, policy) as source:
        return ArchiveState(archive_identity(source, policy), source.size)


def store_upload(
    manifest_file: Path | str, manifest: UploadManifest, identity: str, home: FactoryHome
) -> ReceivedUpload:
    """Store the manifest of an upload under its key. The archive is not copied.

    The same content received again keeps its date; a new location of its manifest is stored.

    Args:
        manifest_file: a path, or the address of an object in a store.
        manifest: what that file contains.
        identity: identifies the content of the archive; from `identify`.
        home: where the manifest is stored.
    """
    key = manifest.key(identity)
    files = home.upload(key)
    location = absolute_location(manifest_file)
    if files.received.exists():
        known = ReceivedUpload.load(files)
        if known.manifest_file != location:
            known = replace(known, manifest_file=location)
            known.save(files.received)
        return known
    upload = ReceivedUpload(key, location, identity, datetime.now(UTC).isoformat(timespec="seconds"))
    document = manifest.model_dump(mode="json", by_alias=True)
    document["dataset_url"] = display(manifest.dataset_url)
    write_text(files.manifest, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    upload.save(files.received)
    return upload


def load_manifest(files: UploadFiles) -> UploadManifest:
    """Return the manifest of an upload; its address has no credentials, so it may be shown but not opened."""
    document = json.loads(files.manifest.read_text(encoding="utf-8"))
    return UploadManifest.parse(document, where=files.root.name)


def current_address(upload: ReceivedUpload, files: UploadFiles) -> str:
    """Return the address of the archive from the user's manifest, which must be unchanged.

    Args:
        upload: as it was received.
        files: of the upload, with the manifest of that time.

    Raises:
        OnboardingError: MANIFEST_INVALID, the manifest was removed or is not valid; SOURCE_CHANGED, it has
            changed.
    """
    manifest = UploadManifest.load(upload.manifest_file)
    if manifest.canonical_json() != load_manifest(files).canonical_json():
        raise OnboardingError(
            "SOURCE_CHANGED",
            f"The manifest {upload.manifest_file} has changed since {upload.key} was received;"
            " drop it again.",
        )
    return manifest.dataset_url
