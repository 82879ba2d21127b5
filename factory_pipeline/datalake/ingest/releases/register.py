"""Releases among the uploads of the registry, which tell how far each is."""

import hashlib

import yaml

from factory_pipeline.archives.download import open_source
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.intake import IncomingUpload
from factory_pipeline.datalake.ingest.intake import register_upload as register
from factory_pipeline.datalake.ingest.releases.receive import (
    VERSION_DIGITS,
    ReceivedRelease,
    is_release_archive,
    receive_release,
)
from factory_pipeline.datalake.registry.records import Upload
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.list_inbox import archive_stem
from factory_pipeline.onboarding.manifest.location import file_name
from factory_pipeline.redaction import display
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.slug import slug

RELEASE = "release"
"""Key of the entry's document that has the archive of a release."""


def entry_of(received: ReceivedRelease) -> IncomingUpload:
    """Return what is entered of a release."""
    options = received.options
    said = {
        RELEASE: received.shown,
        "name": options.name,
        "mltype": options.ml_type and options.ml_type.value,
        "label_coordinates": options.label_coordinates and options.label_coordinates.value,
        "skip_invalid": options.skip_invalid or None,
    }
    document = yaml.safe_dump(
        {key: value for key, value in said.items() if value is not None}, sort_keys=False
    )
    # A release whose archive can't be looked at is not entered: it has no key to be forgotten by.
    unknown_key = f"{received.key}-unknown"
    return IncomingUpload(received.key, unknown_key, document, None, archive_bytes=received.bytes)


def is_release_entry(upload: Upload) -> bool:
    """Return whether an upload of the registry is a release, not an archive with a manifest."""
    return upload.manifest.startswith(f"{RELEASE}: ")


def register_release(registry: Registry, received: ReceivedRelease) -> None:
    """Enter a release that a person imports now; one that was deleted is as new.

    Args:
        registry: of the home.
        received: the release.
    """
    register(registry, entry_of(received))


def validate_release(address: str, home: FactoryHome, policy: IntakePolicy) -> IncomingUpload | None:
    """Look at an archive without a manifest; return its entry if its content is a release, else None.

    Args:
        address: path, or address in an object store.
        home: where the release is kept.
        policy: where archives may come from, and their limits.

    Raises:
        OnboardingError: URL_UNREACHABLE, nothing is known of it now.
    """
    try:
        with open_source(address, policy) as source:
            if not is_release_archive(source, policy):
                return None
    except OnboardingError as error:
        if error.code == "URL_UNREACHABLE":
            raise
        # Broken, hostile, or not an archive at all: it is told as an archive without a manifest.
        return None
    try:
        return entry_of(receive_release(address, home, policy))
    except OnboardingError as error:
        if error.code == "URL_UNREACHABLE":
            raise
        shown = display(address)
        name = slug(archive_stem(file_name(shown)))
        key = f"{name}@{hashlib.sha256(f'release {shown}'.encode()).hexdigest()[:VERSION_DIGITS]}"
        return IncomingUpload(key, key, yaml.safe_dump({RELEASE: shown}), error)
