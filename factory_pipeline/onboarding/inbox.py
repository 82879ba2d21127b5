"""The inbox of uploads: which manifests lie there, and whether they are still being written."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.address import scheme_of
from factory_pipeline.onboarding.manifest import UploadManifest

ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Drop:
    """A manifest in the inbox."""

    manifest: Path
    state: str
    """Changes with the size and time of the manifest, and of its archive where that is a local file."""


def drops(inbox: Path) -> list[Drop]:
    """The manifests in the inbox, by name; none where there is no inbox."""
    found = []
    for path in sorted(inbox.glob("[!.]*")):
        if path.suffix.lower() in ENDINGS and path.is_file():
            state = _state(path)
            archive = _archive_of(path, state)
            parts = f"{state}\n{_state(archive) if archive is not None else ''}"
            found.append(Drop(path, hashlib.sha256(parts.encode()).hexdigest()[:16]))
    return found


@lru_cache(maxsize=100_000)
def _archive_of(manifest: Path, _state: str) -> Path | None:
    """The archive of a manifest in this state; None where it is no local file, or the manifest not whole."""
    try:
        address = UploadManifest.load(manifest).dataset_url
    except OnboardingError:
        return None
    # Whether the file may be read is looked at when it is taken in; here only its size and time are.
    return Path(address.removeprefix("file://")) if scheme_of(address) == "file" else None


def _state(path: Path) -> str:
    try:
        about = path.stat()
    except (OSError, ValueError):
        return "missing"
    return f"{about.st_size} {about.st_mtime_ns}"
