"""What came in: a manifest and the archive that it names, under a key that stands for the content of both."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from factory_pipeline.archives.download import open_source
from factory_pipeline.archives.extract import archive_identity
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.manifest.location import place_of
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.redaction import display
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.layout import FactoryHome, UploadFiles


@dataclass(frozen=True)
class ReceivedUpload:
    """One upload. The address is not kept here, for it may hold a secret: it stays in the user's manifest."""

    key: str
    """`name@version`."""
    manifest_file: str
    """Path of the user's manifest, or its address in an object store."""
    identity: str
    """What tells the content of the archive."""
    received: str
    """When it came in (ISO 8601, UTC). Later stages date their files by it, so that a rerun changes none."""

    @property
    def received_at(self) -> datetime:
        """When it came in."""
        return datetime.fromisoformat(self.received)

    def save(self, path: Path) -> None:
        """Write the upload whole, as JSON."""
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
    """What is known of an archive before it is taken in."""

    identity: str
    """What tells its content."""
    bytes: int | None
    """Its size; None where the host does not say."""


def identify(manifest: UploadManifest, policy: IntakePolicy) -> ArchiveState:
    """What tells the content of a manifest's archive, asked of the place where it lies.

    Raises:
        OnboardingError: the archive can't be opened, or is none.
    """
    with open_source(manifest.dataset_url, policy) as source:
        return ArchiveState(archive_identity(source, policy), source.size)


def receive(manifest_file: Path | str, home: FactoryHome, policy: IntakePolicy) -> ReceivedUpload:
    """Take an upload in: find its key and keep its manifest. The archive is left where it is.

    The same content received again keeps its date; where its manifest now lies elsewhere, that is noted.

    Raises:
        OnboardingError: MANIFEST_INVALID, or the archive can't be opened.
    """
    manifest = UploadManifest.load(manifest_file)
    return keep(manifest_file, manifest, identify(manifest, policy).identity, home)


def keep(
    manifest_file: Path | str, manifest: UploadManifest, identity: str, home: FactoryHome
) -> ReceivedUpload:
    """Write down an upload whose archive is known by its identity."""
    key = manifest.key(identity)
    files = home.upload(key)
    place = place_of(manifest_file)
    if files.received.exists():
        known = ReceivedUpload.load(files)
        if known.manifest_file != place:
            known = replace(known, manifest_file=place)
            known.save(files.received)
        return known
    upload = ReceivedUpload(key, place, identity, datetime.now(UTC).isoformat(timespec="seconds"))
    document = manifest.model_dump(mode="json", by_alias=True)
    document["dataset_url"] = display(manifest.dataset_url)
    write_text(files.manifest, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    upload.save(files.received)
    return upload


def kept_manifest(files: UploadFiles) -> UploadManifest:
    """The manifest of an upload; its address is fit to be shown, not to be opened."""
    document = json.loads(files.manifest.read_text(encoding="utf-8"))
    return UploadManifest.parse(document, where=files.root.name)


def current_address(upload: ReceivedUpload, files: UploadFiles) -> str:
    """The address of the archive, read from the user's manifest, which must still say the same.

    Raises:
        OnboardingError: MANIFEST_INVALID, the manifest is gone or broken; SOURCE_CHANGED, it says
            something else.
    """
    manifest = UploadManifest.load(upload.manifest_file)
    if manifest.canonical_json() != kept_manifest(files).canonical_json():
        raise OnboardingError(
            "SOURCE_CHANGED",
            f"The manifest {upload.manifest_file} was changed since {upload.key} was received;"
            " drop it again.",
        )
    return manifest.dataset_url
