"""From a draft to an upload: archive and manifest go into the inbox, where the sensor takes them in."""

import errno
import shutil
from pathlib import Path
from typing import Any

from factory_pipeline.archives.download import open_source
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.intake import register_upload, validate_upload
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import FactoryError
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.manifest.write import write_manifest
from factory_pipeline.sdk.client import DatasetClient
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.slug import slug
from factory_pipeline.web.studio.add.drafts import Draft

KEYS = (
    "type_of_upload",
    "purpose",
    "dataset_url",
    "training_data_suffixes",
    "label_suffix",
    "dataset_name",
    "description",
    "data_sources",
    "label_categories",
    "label_nodata",
    "splits",
)
"""In the order in which `factory new-manifest` asks for them."""


def complete_manifest(draft: Draft) -> dict[str, Any]:
    """Return the manifest of a draft with its keys in the usual order."""
    return {key: draft.manifest[key] for key in KEYS if key in draft.manifest}


def inbox_stem(draft: Draft) -> str:
    """Return the name that manifest and archive get in the inbox, which no other upload has."""
    return f"{slug(str(draft.manifest.get('dataset_name', 'dataset')))}-{draft.id[:8]}"


def submit_draft(draft: Draft, home: FactoryHome, registry: Registry) -> str:
    """Put a draft into the inbox and enter it in the registry, as the sensor does; the draft is removed.

    The sensor starts what it finds Pending in the inbox. What can't be onboarded is entered as Failed, with
    its reason.

    Args:
        draft: complete.
        home: whose inbox it is put into.
        registry: of the home.

    Returns:
        The key of the upload.

    Raises:
        FactoryError: the archive has not come as a whole, or the manifest is not valid.
    """
    if not draft.has_archive:
        raise FactoryError(f"The archive {draft.source} has not come as a whole.")
    document = complete_manifest(draft)
    stem, inbox = inbox_stem(draft), home.upload_inbox
    if draft.file is not None:
        document["dataset_url"] = str(inbox / f"{stem}{draft.file.ending}")
    UploadManifest.parse(document, where="form")
    inbox.mkdir(parents=True, exist_ok=True)
    if draft.file is not None:
        # The archive first: no manifest waits for what is not there yet.
        _move(draft.files.archive, Path(document["dataset_url"]))
    manifest = inbox / f"{stem}.yaml"
    write_manifest(document, manifest)
    arrival = validate_upload(manifest, home, IntakePolicy.of_home(home))
    register_upload(registry, arrival)
    draft.files.remove()
    return arrival.key


def import_draft(draft: Draft, home: FactoryHome, client: DatasetClient, **options: Any) -> ReleaseReport:
    """Import the release of a draft by the same job as a command does; the draft is removed then.

    Args:
        draft: with an archive that is a release.
        home: that it belongs to.
        client: of the factory.
        **options: of `DatasetClient.import_release`.

    Raises:
        FactoryError: the archive has not come as a whole, or can't be imported; the draft is kept.
    """
    if not draft.has_archive:
        raise FactoryError(f"The archive {draft.source} has not come as a whole.")
    with open_source(draft.address, draft.policy(home)):
        pass  # A visitor may name only what the installation opens.
    if draft.file is None:
        report = client.import_release(draft.address, **options)
    else:
        # Messages and the name of the collection are those of the file.
        stem = draft.file.name[: len(draft.file.name) - len(draft.file.ending)]
        named = draft.files.root / f"{slug(stem)}{draft.file.ending}"
        draft.files.archive.rename(named)
        try:
            report = client.import_release(str(named), **options)
        except BaseException:
            named.rename(draft.files.archive)
            raise
    draft.files.remove()
    return report


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # The inbox is on another disk.
        with atomic_write(target) as temporary:
            shutil.copyfile(source, temporary)
