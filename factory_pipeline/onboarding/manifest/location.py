"""The location of a manifest: a local file, or an object in a store."""

import posixpath
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError

from factory_pipeline.archives.object_source import OBJECT_STORES
from factory_pipeline.archives.url_policy import scheme_of
from factory_pipeline.errors import OnboardingError
from factory_pipeline.redaction import display
from factory_pipeline.storage.object_store import open_store

MOST_BYTES = 4 << 20
"""Size limit in bytes of a manifest in a store: anything larger is not a manifest."""


def is_object(location: Path | str) -> bool:
    """Return whether a location is an address in an object store."""
    return isinstance(location, str) and scheme_of(location) in OBJECT_STORES


def absolute_location(manifest: Path | str) -> str:
    """Return a location as text that is valid in every folder."""
    return str(manifest) if is_object(manifest) else str(Path(manifest).absolute())


def file_name(location: Path | str) -> str:
    """Return the last part of a location."""
    return str(location).rpartition("/")[2]


def read_manifest(location: Path | str) -> bytes:
    """Read the bytes of a manifest.

    Raises:
        OnboardingError: MANIFEST_MISSING, the file does not exist; MANIFEST_INVALID, it can't be read, or the
            store has no such object; URL_UNREACHABLE, its store does not respond now.
    """
    name = file_name(location)
    if not is_object(location):
        try:
            return Path(location).read_bytes()
        except FileNotFoundError as error:
            raise OnboardingError("MANIFEST_MISSING", f"The manifest {location} does not exist.") from error
        except OSError as error:
            raise OnboardingError(
                "MANIFEST_INVALID", f"The manifest {name} can't be read: {error.strerror}."
            ) from error
    folder, _, _ = str(location).rpartition("/")
    try:
        found = obstore.get(open_store(folder), name)
        size = found.meta["size"]
        if size > MOST_BYTES:
            raise OnboardingError(
                "MANIFEST_INVALID", f"The manifest {name} has {size} bytes; {MOST_BYTES} are allowed."
            )
        return bytes(found.bytes())
    except (NotFoundError, FileNotFoundError, PermissionDeniedError, UnauthenticatedError):
        # Without its cause, whose text may contain credentials of the request.
        raise OnboardingError(
            "MANIFEST_INVALID",
            f"The manifest {display(location)} can't be read: it does not exist, or access is denied.",
        ) from None
    except (BaseError, OSError) as error:
        raise OnboardingError(
            "URL_UNREACHABLE", f"The store of the manifest {display(location)} does not respond."
        ) from error


def resolve_beside(location: Path | str, address: str) -> str:
    """Resolve an address in a manifest: a relative path starts from the folder of the manifest.

    Args:
        location: of the manifest: a path, or the address of an object.
        address: from the manifest: a path or an address.
    """
    if "://" in address:
        return address
    if not is_object(location):
        return str(Path(location).absolute().parent / Path(address).expanduser())
    if address.startswith(("/", "~")):
        return address
    parts = urlsplit(str(location))
    path = posixpath.normpath(posixpath.join(posixpath.dirname(parts.path) or "/", address))
    return f"{parts.scheme}://{parts.netloc}{path}"
