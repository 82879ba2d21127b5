"""The upload that a user means by a name."""

import unicodedata

from factory_pipeline.datalake.registry.records import Upload
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import DocumentError, RegistryError
from factory_pipeline.storage.slug import slug
from factory_pipeline.yaml_document import parse_yaml


def find_upload(registry: Registry, name: str, *, exactly: bool = False) -> Upload:
    """Return the living upload that a user names.

    Args:
        registry: of the home.
        name: a key (`name@version`), the name of a dataset's folder, or a dataset's name as its manifest
            has it.
        exactly: for commands that destroy: capitals, blanks and accents must agree, and a name must have one
            upload only. Otherwise the newest upload of a name is returned.

    Raises:
        RegistryError: no upload has this name, or several have it where one must be named.
    """
    living = registry.uploads()
    found = [upload for upload in living if upload.key == name] or [
        upload for upload in living if upload.name == name
    ]
    if not found and not exactly:
        found = [upload for upload in living if upload.name == slug(name)]
    if not found:
        found = [upload for upload in living if _dataset_name(upload) == unicodedata.normalize("NFC", name)]
    if not found:
        raise RegistryError(f"The registry has no upload {name!r}; `factory upload list` lists them all.")
    if exactly and len(found) > 1:
        keys = ", ".join(upload.key for upload in found)
        raise RegistryError(f"{name} has {len(found)} uploads; choose one of them: {keys}.")
    return found[-1]


def _dataset_name(upload: Upload) -> str | None:
    """Return the dataset's name as the manifest has it; None for a manifest that could not be read."""
    try:
        document = parse_yaml(upload.manifest, f"The manifest of {upload.key}")
    except DocumentError:
        return None
    name = document.get("dataset_name") if isinstance(document, dict) else None
    return unicodedata.normalize("NFC", name) if isinstance(name, str) else None
