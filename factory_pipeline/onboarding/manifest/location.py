"""Where a manifest lies: a file of this machine, or an object of a store."""

import posixpath
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError

from factory_pipeline.archives.object_source import OBJECT_STORES, open_store
from factory_pipeline.archives.url_policy import scheme_of
from factory_pipeline.errors import OnboardingError
from factory_pipeline.redaction import display

MOST_BYTES = 4 << 20
"""Largest manifest that is read from a store: what is larger is no manifest."""


def is_object(place: Path | str) -> bool:
    """Whether a place is an address in an object store."""
    return isinstance(place, str) and scheme_of(place) in OBJECT_STORES


def place_of(manifest: Path | str) -> str:
    """A place as text that means the same in every folder."""
    return str(manifest) if is_object(manifest) else str(Path(manifest).absolute())


def file_name(place: Path | str) -> str:
    """The last part of a place."""
    return str(place).rpartition("/")[2]


def read_place(place: Path | str) -> bytes:
    """The bytes of a manifest.

    Raises:
        OnboardingError: MANIFEST_MISSING, there is no such file; MANIFEST_INVALID, it may not be read, or the
            store has no such object; URL_UNREACHABLE, the store that holds it does not answer now.
    """
    name = file_name(place)
    if not is_object(place):
        try:
            return Path(place).read_bytes()
        except FileNotFoundError as error:
            raise OnboardingError("MANIFEST_MISSING", f"There is no manifest {place}.") from error
        except OSError as error:
            raise OnboardingError(
                "MANIFEST_INVALID", f"The manifest {name} can't be read: {error.strerror}."
            ) from error
    folder, _, _ = str(place).rpartition("/")
    try:
        found = obstore.get(open_store(folder), name)
        size = found.meta["size"]
        if size > MOST_BYTES:
            raise OnboardingError(
                "MANIFEST_INVALID", f"The manifest {name} has {size} bytes; {MOST_BYTES} are allowed."
            )
        return bytes(found.bytes())
    except (NotFoundError, FileNotFoundError, PermissionDeniedError, UnauthenticatedError):
        # Without its cause, whose text may hold what the store was asked with.
        raise OnboardingError(
            "MANIFEST_INVALID",
            f"The manifest {display(place)} can't be read: no such object, or access is refused.",
        ) from None
    except (BaseError, OSError) as error:
        raise OnboardingError(
            "URL_UNREACHABLE", f"The store of the manifest {display(place)} does not answer."
        ) from error


def beside(place: Path | str, address: str) -> str:
    """What an address in a manifest means: a relative path starts from the folder of the manifest."""
    if "://" in address:
        return address
    if not is_object(place):
        return str(Path(place).absolute().parent / Path(address).expanduser())
    if address.startswith(("/", "~")):
        return address
    parts = urlsplit(str(place))
    path = posixpath.normpath(posixpath.join(posixpath.dirname(parts.path) or "/", address))
    return f"{parts.scheme}://{parts.netloc}{path}"
