"""The inboxes of uploads: which manifests they contain, and whether these are still being written.

An inbox is a folder or a prefix of an object store. Objects appear atomically; but the archive may come later
than the manifest, so that both kinds of inbox are handled in the same way.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError

from factory_pipeline.archives.url_policy import scheme_of
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.manifest.location import is_object
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.redaction import display
from factory_pipeline.storage.object_store import open_store

ENDINGS = (".yaml", ".yml")
ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
NO_MANIFEST = "MANIFEST_MISSING"
"""The code of an archive without a manifest."""
READERS = 16
"""Manifests that are read from a store at the same time."""


@dataclass(frozen=True)
class InboxEntry:
    """A manifest in an inbox."""

    manifest: str
    """Its path, or its address in an object store."""
    state: str
    """Changes with the size and times of the manifest, and of its archive if that is a local file.

    In a store with the ETag and time of both, if the archive is in the inbox too.
    """
    put: float = 0.0
    """When the manifest or its archive was last put there, in seconds since 1970: for a copied file this is
    the time of the copy, whatever its time of modification.
    """
    host: str = ""
    """The host or store of the archive; empty if all files are local."""


@dataclass(frozen=True)
class Contents:
    """The contents of an inbox."""

    manifests: list[InboxEntry]
    """The manifests by name."""
    strays: list[InboxEntry]
    """Archives that no manifest of the inbox refers to; their location takes that of a manifest."""


@dataclass(frozen=True)
class _Facts:
    """What identifies the state of a file or object, and since when it exists."""

    state: str
    put: float = 0.0


MISSING = _Facts("missing")


def contents(inbox: Path | str) -> Contents:
    """Return the manifests and stray archives in an inbox; none if the folder or prefix does not exist.

    Raises:
        OnboardingError: SCHEME_NOT_ALLOWED, URL_UNREACHABLE: the inbox is not a folder or can't be listed.
    """
    if is_object(inbox):
        return _contents_of_store(str(inbox).rstrip("/"))
    if "://" in str(inbox):
        raise OnboardingError(
            "SCHEME_NOT_ALLOWED",
            f"The inbox {display(inbox)} is neither a folder nor a prefix of an object store.",
        )
    return _contents_of_folder(Path(inbox))


def list_entries(inbox: Path | str) -> list[InboxEntry]:
    """Return the manifests in an inbox, by name; errors as `contents`."""
    return contents(inbox).manifests


def _contents_of_folder(inbox: Path) -> Contents:
    files = [path for path in sorted(inbox.glob("[!.]*")) if path.is_file()]
    found, named = [], set()
    for path in files:
        if path.suffix.lower() not in ENDINGS:
            continue
        facts = _facts(path)
        archive = _archive_of(str(path), facts.state)
        # Whether the file may be read is checked when it is received; here only its size and times are read.
        is_local = archive is not None and scheme_of(archive) == "file"
        location = Path(os.path.normpath(str(archive).removeprefix("file://")))
        named.add(location)
        of_archive = _facts(location) if is_local else None
        found.append(_drop(str(path), facts, of_archive, "" if archive is None else _host_of(archive)))
    stems = {Path(drop.manifest).stem for drop in found}
    strays = [
        _drop(str(path), _facts(path), None)
        for path in files
        if _is_archive(path.name) and path not in named and archive_stem(path.name) not in stems
    ]
    return Contents(found, strays)


def _contents_of_store(prefix: str) -> Contents:
    here = _list_objects(prefix)
    manifests = {
        f"{prefix}/{name}": facts
        for name, facts in sorted(here.items())
        if PurePosixPath(name).suffix.lower() in ENDINGS and not name.startswith(".")
    }
    states = [facts.state for facts in manifests.values()]
    with ThreadPoolExecutor(READERS) as pool:
        archives = dict(zip(manifests, pool.map(_archive_of, manifests, states), strict=True))
    named = [archive for archive in archives.values() if archive is not None]
    below = _facts_below(prefix, here, named)
    found = [
        _drop(location, facts, below.get(archives[location] or ""), _host_of(archives[location] or location))
        for location, facts in manifests.items()
    ]
    stems = {PurePosixPath(location).stem for location in manifests}
    strays = [
        _drop(f"{prefix}/{name}", facts, None)
        for name, facts in sorted(here.items())
        if _is_archive(name) and f"{prefix}/{name}" not in named and archive_stem(name) not in stems
    ]
    return Contents(found, strays)


def _is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVE_ENDINGS) and not name.startswith(".")


def archive_stem(name: str) -> str:
    """Return the name of an archive without its ending."""
    ending = next((ending for ending in ARCHIVE_ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def missing_manifest_error(archive: str) -> OnboardingError:
    """Return the error of an archive that is in an inbox without a manifest."""
    return OnboardingError(
        NO_MANIFEST,
        f"The archive {archive} is in the inbox without a manifest; put {archive_stem(archive)}.yaml beside"
        " it, which `factory new-manifest` writes.",
    )


def _facts_below(prefix: str, here: Mapping[str, _Facts], archives: Iterable[str]) -> dict[str, _Facts]:
    """Return the facts of archives below a prefix; each of their folders is listed once."""
    facts = {}
    listed = {prefix: here}
    for archive in archives:
        folder, _, name = archive.rpartition("/")
        if folder == prefix or folder.startswith(f"{prefix}/"):
            listed[folder] = listed[folder] if folder in listed else _list_objects(folder)
            facts[archive] = listed[folder].get(name, MISSING)
    return facts


def _list_objects(prefix: str) -> dict[str, _Facts]:
    """Return the facts of each object directly under a prefix, by its name."""
    try:
        objects = obstore.list_with_delimiter(open_store(prefix))["objects"]
    except (BaseError, OSError, ValueError):
        # Without its cause, whose text may contain credentials of the request.
        raise OnboardingError(
            "URL_UNREACHABLE",
            f"The inbox {display(prefix)} can't be listed: the store does not exist, does not respond, or"
            " access is denied.",
        ) from None
    return {
        found["path"]: _Facts(
            f"{found['e_tag']} {found['last_modified'].isoformat()}", found["last_modified"].timestamp()
        )
        for found in objects
    }


def _archive_of(manifest: str, state: str) -> str | None:
    """Return the address of the archive of a manifest.

    None if the manifest can't be read or is incomplete.
    """
    try:
        return _identify_archive(manifest, state)
    except OnboardingError:
        return None


@lru_cache(maxsize=100_000)
def _identify_archive(manifest: str, _state: str) -> str | None:
    """Return the archive of a manifest in this state; a permanent failure is cached too."""
    try:
        return UploadManifest.load(manifest).dataset_url
    except OnboardingError as error:
        if error.code in ("URL_UNREACHABLE", NO_MANIFEST):
            raise
        return None


def _host_of(address: str) -> str:
    """Return the host or bucket of an address; empty for a file, and if the address has none."""
    if scheme_of(address) == "file":
        return ""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _drop(location: str, facts: _Facts, of_archive: _Facts | None, host: str = "") -> InboxEntry:
    of_archive = of_archive or _Facts("")
    state = hashlib.sha256(f"{facts.state}\n{of_archive.state}".encode()).hexdigest()[:16]
    return InboxEntry(location, state, max(facts.put, of_archive.put), host)


def _facts(path: Path) -> _Facts:
    try:
        about = path.stat()
    except (OSError, ValueError):
        return MISSING
    # A copy may keep the time of modification, but not the number and the change time of its inode.
    state = f"{about.st_size} {about.st_mtime_ns} {about.st_ino} {about.st_ctime_ns}"
    return _Facts(state, about.st_ctime)
