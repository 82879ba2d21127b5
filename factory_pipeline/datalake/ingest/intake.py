"""Incoming uploads: validated at their location, then registered, valid ones and failed ones."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import OnboardingError, RegistryError
from factory_pipeline.onboarding.list_inbox import archive_stem, missing_manifest_error
from factory_pipeline.onboarding.manifest.location import file_name, read_manifest
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.received_upload import ArchiveState, identify, load_manifest, store_upload
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.slug import slug


@dataclass(frozen=True)
class IncomingUpload:
    """A manifest that was received."""

    key: str
    """Key of manifest and archive; if the archive is not known, of the manifest alone."""
    unknown_key: str
    """The key of the manifest alone, which it has as long as its archive is not known."""
    manifest: str
    """The manifest as YAML without secrets."""
    error: OnboardingError | None
    """Why it can't be onboarded."""
    archive_bytes: int | None = None
    """Size of the archive in bytes; None if it is not known."""


def validate_upload(manifest_file: Path | str, home: FactoryHome, policy: IntakePolicy) -> IncomingUpload:
    """Read a manifest, identify the content of its archive, and store the manifest under their key.

    Args:
        manifest_file: a path, or the address of an object in a store.
        home: the home that stores it.
        policy: from where the archive may come.

    Raises:
        OnboardingError: there is no such manifest, or the store that holds it does not answer now; nothing is
            known of it that could be entered.
    """
    try:
        manifest = UploadManifest.load(manifest_file)
    except OnboardingError as error:
        if error.code in ("URL_UNREACHABLE", "MANIFEST_MISSING"):
            raise
        content = b""
        with suppress(OnboardingError):
            content = read_manifest(manifest_file)
        name = file_name(manifest_file)
        key = f"{slug(Path(name).stem)}@{hashlib.sha256(content).hexdigest()[:8]}"
        # Its text is not stored: secrets can't be removed from a text that can't be parsed.
        return IncomingUpload(key, key, yaml.safe_dump({"manifest": name}), error)
    unknown_key = manifest.key("")
    try:
        archive = _identify(manifest, policy)
        upload = store_upload(manifest_file, manifest, archive.identity, home)
    except OnboardingError as error:
        named = {"dataset_name": manifest.dataset_name, "purpose": manifest.purpose.value}
        return IncomingUpload(unknown_key, unknown_key, yaml.safe_dump(named), error)
    kept = load_manifest(home.upload(upload.key)).model_dump(mode="json", by_alias=True)
    return IncomingUpload(
        upload.key, unknown_key, yaml.safe_dump(kept, sort_keys=False), None, archive_bytes=archive.bytes
    )


def stray_archive(location: str) -> IncomingUpload:
    """Return an archive in an inbox without a manifest as a failed upload."""
    name = file_name(location)
    key = f"{slug(archive_stem(name))}@{hashlib.sha256(f'stray {name}'.encode()).hexdigest()[:8]}"
    return IncomingUpload(key, key, yaml.safe_dump({"archive": name}), missing_manifest_error(name))


def _identify(manifest: UploadManifest, policy: IntakePolicy) -> ArchiveState:
    try:
        return identify(manifest, policy)
    except (OSError, ValueError) as error:
        # Such as a name that is not a valid file name; the error's own text may contain the full address.
        raise OnboardingError(
            "URL_UNREACHABLE",
            f"The archive of {manifest.dataset_name} can't be read ({type(error).__name__}).",
        ) from None


@dataclass(frozen=True)
class RegistrationResult:
    """The result of registering an incoming upload."""

    is_new: bool
    """True if it was not registered before, so no run exists for it."""
    status: UploadStatus
    is_deleted: bool


def register_upload(
    registry: Registry, arrival: IncomingUpload, put: datetime | None = None
) -> RegistrationResult:
    """Register an incoming upload, valid or failed.

    Args:
        registry: the registry that it is added to.
        arrival: the upload.
        put: when it was put into its inbox. A deleted upload that was put there again afterwards counts as
            new; one that was there before stays deleted. None: a person requests it now.
    """
    is_new = registry.register_upload(arrival.key, arrival.manifest)
    if not is_new and _is_after_deletion(registry, arrival.key, put):
        is_new = registry.restore_upload(arrival.key)
    if arrival.error is None:
        _forget_failure(registry, arrival)
        if is_new:
            return RegistrationResult(True, UploadStatus.PENDING, False)
        known = registry.upload(arrival.key)
        return RegistrationResult(False, known.status, known.deleted_at is not None)
    registry.set_status(arrival.key, UploadStatus.FAILED, reason=str(arrival.error), code=arrival.error.code)
    return RegistrationResult(
        is_new, UploadStatus.FAILED, registry.upload(arrival.key).deleted_at is not None
    )


def _is_after_deletion(registry: Registry, key: str, put: datetime | None) -> bool:
    deleted_at = registry.upload(key).deleted_at
    return deleted_at is not None and (put is None or deleted_at < put)


def _forget_failure(registry: Registry, arrival: IncomingUpload) -> None:
    """Remove the failure of an archive that was unavailable before and now has its own key."""
    with suppress(RegistryError):
        if registry.upload(arrival.unknown_key).deleted_at is None:
            registry.delete_upload(arrival.unknown_key)
