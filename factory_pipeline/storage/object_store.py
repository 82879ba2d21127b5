"""Objects of S3, Google Cloud Storage and Azure: one call per thing that is done with them.

Credentials, region and endpoint come from the environment. A store that refuses or does not answer is an
error, never an object that is missing.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import ObjectStore, from_url

from factory_pipeline.errors import StoreError, WrittenMeanwhileError
from factory_pipeline.forked_client import require_own_client
from factory_pipeline.redaction import display, hide_addresses

if TYPE_CHECKING:
    from obstore import ObjectMeta

SETTINGS = ("AWS_", "AZURE_", "GOOGLE_")
"""What the names of variables begin with that a store is opened by."""
UNSIGNED = ("1", "true", "yes")
KEPT_STORES = 32
RECENT_S = 2.0
"""Seconds for which it is believed that an object is still what the store said: readers open files again and
again, and another machine may as well have changed one a moment later."""
MOST_RECENT = 10_000
"""Objects of which that is remembered."""
LARGEST_SINGLE_PUT = 128 * 2**20
"""Bytes; a larger file is sent in parts, which appear together; what they replace is checked before."""


@dataclass(frozen=True)
class ObjectFacts:
    """What a store says of an object."""

    size: int
    e_tag: str
    """Names the content; differs after each change."""
    modified: datetime


def open_store(address: str) -> ObjectStore:
    """Return the store of an address, whose paths start from that address; no request is sent yet.

    With AWS_NO_SIGN_REQUEST requests to S3 are not signed. A store that was opened with the same environment
    before is used again, with its connections.

    Args:
        address: such as `s3://bucket/folder`.

    Raises:
        obstore.exceptions.BaseError, ValueError: a setting is missing in the environment or the address.
        StoreError: this process was forked once a store was open.
    """
    require_own_client()
    return _open_store(address, _settings())


def _settings() -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in os.environ.items() if name.startswith(SETTINGS))


@lru_cache(maxsize=KEPT_STORES)
def _recent_facts(
    _address: str, _settings: frozenset[tuple[str, str]]
) -> dict[str, tuple[float, "ObjectFacts"]]:
    """Return what a store said lately, and when, by key."""
    return {}


@lru_cache(maxsize=KEPT_STORES)
def _open_store(address: str, _settings: frozenset[tuple[str, str]]) -> ObjectStore:
    client: Any = {
        "allow_http": True,  # the endpoint in the environment decides
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(seconds=30),
        "timeout": timedelta(minutes=5),
    }
    config: Any = {}
    if address.startswith("s3") and os.environ.get("AWS_NO_SIGN_REQUEST", "").lower() in UNSIGNED:
        config = {"skip_signature": True}
    return from_url(address, config=config, client_options=client)


class Bucket:
    """The objects of one bucket or container."""

    def __init__(self, address: str) -> None:
        """Take the address of the bucket; no request is sent.

        Args:
            address: such as `s3://bucket`.

        Raises:
            StoreError: a setting is missing in the environment or the address.
        """
        self._address = address
        with _store_errors(address, "opened"):
            self._store = open_store(address)
        self._recent = _recent_facts(address, _settings())

    def find(self, key: str, *, lists_next: bool = False) -> ObjectFacts | None:
        """Return what the store says of an object; None if there is none.

        Args:
            key: of the object.
            lists_next: whether the caller lists what is below the key where there is no object, which tells
                whether there is a bucket.

        Raises:
            StoreError: the store refuses or does not answer, or the bucket does not exist.
        """
        try:
            with _store_errors(self._name(key), "looked for"):
                found = obstore.head(self._store, key)
        except FileNotFoundError:
            self._recent.pop(key, None)
            if not lists_next:
                self._require_bucket(key)
            return None
        facts = _facts(found)
        if len(self._recent) >= MOST_RECENT:
            self._recent.clear()
        self._recent[key] = time.monotonic(), facts
        return facts

    def find_lately(self, key: str, *, lists_next: bool = False) -> ObjectFacts | None:
        """Return what `find` does, or what the store said of an existing object less than RECENT_S ago.

        Args:
            key: of the object.
            lists_next: as for `find`.

        Raises:
            StoreError: as for `find`.
        """
        asked, facts = self._recent.get(key, (-RECENT_S, None))
        if facts is not None and time.monotonic() - asked < RECENT_S:
            return facts
        return self.find(key, lists_next=lists_next)

    def download(self, key: str, target: Path) -> ObjectFacts:
        """Write the content of an object to a local file, and return the facts that belong to it.

        Args:
            key: of the object.
            target: the file; one that exists is replaced.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: the store refuses or does not answer.
        """
        with self._object_errors(key, "read"):
            found = obstore.get(self._store, key)
            with target.open("wb") as file:
                for piece in found:
                    file.write(piece)
            return _facts(found.meta)

    def put(self, key: str, file: Path, before: str | None) -> str:
        """Publish a local file as an object, whole or not at all, and return its new tag.

        Args:
            key: of the object.
            file: its content.
            before: the tag of the object that is replaced; None if there must be none. A store that knows no
                conditions replaces what another process writes while the file is sent, and so does a file of
                more than LARGEST_SINGLE_PUT bytes.

        Raises:
            WrittenMeanwhileError: somebody else has written the object since.
            StoreError: the store refuses or does not answer.
        """
        name = self._name(key)
        self._recent.pop(key, None)
        with _bucket_errors(name, "written"):
            if file.stat().st_size <= LARGEST_SINGLE_PUT:
                mode: Any = "create" if before is None else {"e_tag": before}
                try:
                    return _tag(obstore.put(self._store, key, file.read_bytes(), mode=mode))
                except (AlreadyExistsError, PreconditionError):
                    raise _written_meanwhile(name) from None
                except (NotSupportedError, NotImplementedError):
                    pass
            now = self.find(key)
            if (now.e_tag if now is not None else None) != before:
                raise _written_meanwhile(name)
            self._recent.pop(key, None)
            return _tag(obstore.put(self._store, key, file))

    def put_mark(self, key: str) -> None:
        """Write an empty object, whatever is there.

        Raises:
            StoreError: the store refuses or does not answer.
        """
        with _bucket_errors(self._name(key), "written"):
            obstore.put(self._store, key, b"")

    def copy(self, key: str, target: str) -> None:
        """Copy an object within the store.

        Args:
            key: of the object.
            target: key of the copy; what is there is replaced.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: the store refuses or does not answer.
        """
        self._recent.pop(target, None)
        with self._object_errors(key, "copied"):
            obstore.copy(self._store, key, target)

    def delete(self, *keys: str) -> None:
        """Remove objects; one that does not exist is no error.

        Raises:
            StoreError: the store refuses or does not answer.
        """
        if not keys:
            return
        for key in keys:
            self._recent.pop(key, None)
        with _store_errors(self._name(keys[0]), "removed"):
            try:
                obstore.delete(self._store, list(keys))
            except FileNotFoundError:
                # Some stores say so of one object that is missing; all do of a bucket.
                self._require_bucket(keys[0])
                for key in keys if len(keys) > 1 else ():
                    self.delete(key)

    def names_below(self, folder: str) -> list[str]:
        """Return the keys of all objects below a folder, sorted.

        Args:
            folder: a key without a slash at its end.

        Raises:
            StoreError: the store refuses or does not answer.
        """
        with _bucket_errors(self._name(folder), "listed"):
            return sorted(each["path"] for page in obstore.list(self._store, _below(folder)) for each in page)

    def names_in(self, folder: str) -> list[str]:
        """Return the keys of the objects and of the folders that are directly in a folder, sorted.

        Raises:
            StoreError: the store refuses or does not answer.
        """
        with _bucket_errors(self._name(folder), "listed"):
            listed = obstore.list_with_delimiter(self._store, _below(folder))
        return sorted([*(each["path"] for each in listed["objects"]), *listed["common_prefixes"]])

    def has_any(self, folder: str) -> bool:
        """Return whether there is an object below a folder.

        Raises:
            StoreError: the store refuses or does not answer.
        """
        with _bucket_errors(self._name(folder), "listed"):
            return any(page for page in obstore.list(self._store, _below(folder), chunk_size=1))

    @contextmanager
    def _object_errors(self, key: str, what: str) -> Iterator[None]:
        """Do what `_store_errors` does; only an object that is missing in its bucket can't be found."""
        try:
            with _store_errors(self._name(key), what):
                yield
        except FileNotFoundError:
            self._require_bucket(key)
            raise

    def _require_bucket(self, key: str) -> None:
        """Tell a missing object from a missing bucket, which stores answer alike.

        Raises:
            StoreError: the bucket does not exist.
        """
        self.has_any(key)

    def _name(self, key: str) -> str:
        return f"{self._address}/{key}"


def _facts(found: "ObjectMeta") -> ObjectFacts:
    tag = found["e_tag"] or found["last_modified"].isoformat()
    return ObjectFacts(found["size"], tag, found["last_modified"])


def _below(folder: str) -> str:
    return f"{folder}/" if folder else ""


def _written_meanwhile(name: str) -> WrittenMeanwhileError:
    return WrittenMeanwhileError(
        f"{name} was written by another process at the same time, which stays; run again."
    )


def _tag(result: Any) -> str:
    return str(result["e_tag"] or "")


@contextmanager
def _store_errors(name: str, what: str) -> Iterator[None]:
    """Turn the errors of a store into one sentence; a missing object stays a FileNotFoundError.

    Raises:
        StoreError: the store refuses, does not answer or isn't set up.
    """
    try:
        yield
    except (BaseError, ValueError) as error:
        said = hide_addresses(str(error).partition("\n")[0]).rstrip(".")
        raise StoreError(f"{display(name)} can't be {what}: {said}.") from None


@contextmanager
def _bucket_errors(name: str, what: str) -> Iterator[None]:
    """Do what `_store_errors` does where only a missing bucket can't be found.

    Raises:
        StoreError: the store refuses, does not answer or isn't set up, or the bucket does not exist.
    """
    try:
        with _store_errors(name, what):
            yield
    except FileNotFoundError:
        raise StoreError(f"{display(name)} can't be {what}: the bucket does not exist.") from None
