"""Uploads on their way in: examined where they lie, then entered in the registry, good ones and bad ones."""

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
from factory_pipeline.onboarding.list_inbox import archive_stem, without_manifest
from factory_pipeline.onboarding.manifest.location import file_name, read_place
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.received_upload import ArchiveState, identify, keep, kept_manifest
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.slug import slug


@dataclass(frozen=True)
class IncomingUpload:
    """A manifest that came in."""

    key: str
    """Of manifest and archive; where the archive is not known, of the manifest alone."""
    unknown_key: str
    """The key that it has, or would have, while its archive is not known."""
    manifest: str
    """YAML without secrets."""
    error: OnboardingError | None
    """Why it can't be onboarded as it is."""
    archive_bytes: int | None = None
    """Size of the archive; None where it is not known."""


def validate_upload(manifest_file: Path | str, home: FactoryHome, policy: IntakePolicy) -> IncomingUpload:
    """Read a manifest, ask for the content of its archive, and keep both under their key.

    Args:
        manifest_file: a path, or the address of an object in a store.
        home: where both are kept.
        policy: where the archive may come from.

    Raises:
        OnboardingError: there is no such manifest, or the store that holds it does not answer now; nothing
            is known of it that could be entered.
    """
    try:
        manifest = UploadManifest.load(manifest_file)
    except OnboardingError as error:
        if error.code in ("URL_UNREACHABLE", "MANIFEST_MISSING"):
            raise
        content = b""
        with suppress(OnboardingError):
            content = read_place(manifest_file)
        name = file_name(manifest_file)
        key = f"{slug(Path(name).stem)}@{hashlib.sha256(content).hexdigest()[:8]}"
        # Its text is not kept: what can't be read can't be cleared of secrets.
        return IncomingUpload(key, key, yaml.safe_dump({"manifest": name}), error)
    unknown_key = manifest.key("")
    try:
        archive = _identified(manifest, policy)
        upload = keep(manifest_file, manifest, archive.identity, home)
    except OnboardingError as error:
        named = {"dataset_name": manifest.dataset_name, "purpose": manifest.purpose.value}
        return IncomingUpload(unknown_key, unknown_key, yaml.safe_dump(named), error)
    kept = kept_manifest(home.upload(upload.key)).model_dump(mode="json", by_alias=True)
    return IncomingUpload(
        upload.key, unknown_key, yaml.safe_dump(kept, sort_keys=False), None, archive_bytes=archive.bytes
    )


def stray_archive(place: str) -> IncomingUpload:
    """An archive in an inbox without a manifest, as an upload that failed."""
    name = file_name(place)
    key = f"{slug(archive_stem(name))}@{hashlib.sha256(f'stray {name}'.encode()).hexdigest()[:8]}"
    return IncomingUpload(key, key, yaml.safe_dump({"archive": name}), without_manifest(name))


def _identified(manifest: UploadManifest, policy: IntakePolicy) -> ArchiveState:
    try:
        return identify(manifest, policy)
    except (OSError, ValueError) as error:
        # Such as a name that no file can have; the error's own text may hold the whole address.
        raise OnboardingError(
            "URL_UNREACHABLE",
            f"The archive of {manifest.dataset_name} can't be read ({type(error).__name__}).",
        ) from None


@dataclass(frozen=True)
class RegistrationResult:
    """What the registry says of an arrival."""

    is_new: bool
    """It has not been there before, so nothing runs for it."""
    status: UploadStatus
    is_deleted: bool


def register_upload(
    registry: Registry, arrival: IncomingUpload, put: datetime | None = None
) -> RegistrationResult:
    """Enter an arrival in the registry, good or bad.

    Args:
        registry: where it is entered.
        arrival: what came in.
        put: when it was put into its inbox. A deleted upload that was put there again afterwards is as new;
            one that has lain there since before stays deleted. None: a person asks for it now.
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
    """An archive that could not be reached before is known now under its own key."""
    with suppress(RegistryError):
        if registry.upload(arrival.unknown_key).deleted_at is None:
            registry.delete_upload(arrival.unknown_key)
