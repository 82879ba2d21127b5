"""The inboxes of uploads: which manifests lie there, and whether they are still being written.

An inbox is a folder or a prefix of an object store. An object is there whole or not at all; still its archive
may come later than the manifest, so that both kinds are looked at in the same way.
"""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import obstore
from obstore.exceptions import BaseError

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.address import display, scheme_of
from factory_pipeline.onboarding.manifest import UploadManifest
from factory_pipeline.onboarding.manifest_place import is_object
from factory_pipeline.onboarding.object_source import open_store

ENDINGS = (".yaml", ".yml")
READERS = 16
"""Manifests that are read from a store at the same time."""


@dataclass(frozen=True)
class Drop:
    """A manifest in an inbox."""

    manifest: str
    """Its path, or its address in an object store."""
    state: str
    """Changes with the size and time of the manifest, and of its archive where that is a local file; in a
    store with the ETag of both, where the archive lies in the inbox too."""


def drops(inbox: Path | str) -> list[Drop]:
    """The manifests in an inbox, by name; none where there is no such folder or prefix.

    Raises:
        OnboardingError: SCHEME_NOT_ALLOWED, URL_UNREACHABLE: the inbox is no folder and can't be listed.
    """
    if is_object(inbox):
        return _drops_in_store(str(inbox).rstrip("/"))
    if "://" in str(inbox):
        raise OnboardingError(
            "SCHEME_NOT_ALLOWED",
            f"The inbox {display(inbox)} is neither a folder nor a prefix of an object store.",
        )
    found = []
    for path in sorted(Path(inbox).glob("[!.]*")):
        if path.suffix.lower() in ENDINGS and path.is_file():
            state = _state(path)
            archive = _archive_of(str(path), state)
            # Whether the file may be read is looked at when it is taken in; here only its size and time are.
            is_local = archive is not None and scheme_of(archive) == "file"
            of_archive = _state(Path(str(archive).removeprefix("file://"))) if is_local else ""
            found.append(_drop(str(path), state, of_archive))
    return found


def _drops_in_store(prefix: str) -> list[Drop]:
    here = _listed(prefix)
    manifests = {
        f"{prefix}/{name}": tag
        for name, tag in sorted(here.items())
        if PurePosixPath(name).suffix.lower() in ENDINGS and not name.startswith(".")
    }
    with ThreadPoolExecutor(READERS) as pool:
        archives = dict(zip(manifests, pool.map(_archive_of, manifests, manifests.values()), strict=True))
    tags = _tags_below(prefix, here, [archive for archive in archives.values() if archive is not None])
    return [_drop(place, tag, tags.get(archives[place] or "", "")) for place, tag in manifests.items()]


def _tags_below(prefix: str, here: Mapping[str, str], archives: Iterable[str]) -> dict[str, str]:
    """What tells the state of archives that lie below a prefix; each folder of them is listed once."""
    tags = {}
    listed = {prefix: here}
    for archive in archives:
        folder, _, name = archive.rpartition("/")
        if folder == prefix or folder.startswith(f"{prefix}/"):
            listed[folder] = listed[folder] if folder in listed else _listed(folder)
            tags[archive] = listed[folder].get(name, "missing")
    return tags


def _listed(prefix: str) -> dict[str, str]:
    """What tells the state of each object directly under a prefix, by its name."""
    try:
        objects = obstore.list_with_delimiter(open_store(prefix))["objects"]
    except (BaseError, OSError, ValueError):
        # Without its cause, whose text may hold what the store was asked with.
        raise OnboardingError(
            "URL_UNREACHABLE",
            f"The inbox {display(prefix)} can't be listed: there is no such store, it does not answer, or"
            " access is refused.",
        ) from None
    return {found["path"]: found["e_tag"] or found["last_modified"].isoformat() for found in objects}


def _archive_of(manifest: str, state: str) -> str | None:
    """The address of the archive of a manifest; None where the manifest can't be read or is not whole."""
    try:
        return _known_archive(manifest, state)
    except OnboardingError:
        return None


@lru_cache(maxsize=100_000)
def _known_archive(manifest: str, _state: str) -> str | None:
    """The archive of a manifest in this state; what says nothing for good is kept too."""
    try:
        return UploadManifest.load(manifest).dataset_url
    except OnboardingError as error:
        if error.code == "URL_UNREACHABLE":
            raise
        return None


def _drop(place: str, state: str, of_archive: str) -> Drop:
    return Drop(place, hashlib.sha256(f"{state}\n{of_archive}".encode()).hexdigest()[:16])


def _state(path: Path) -> str:
    try:
        about = path.stat()
    except (OSError, ValueError):
        return "missing"
    return f"{about.st_size} {about.st_mtime_ns}"
