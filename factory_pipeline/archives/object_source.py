"""An archive in an object store, or in any other file system that fsspec opens."""

from collections.abc import Iterator

import obstore
from obstore.exceptions import BaseError

from factory_pipeline.archives.source import PIECE_BYTES, ArchiveSource
from factory_pipeline.archives.url_policy import scheme_of
from factory_pipeline.errors import OnboardingError
from factory_pipeline.redaction import display
from factory_pipeline.storage.object_store import open_store

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl"})
"""Schemes that obstore opens; credentials and end points come from the environment."""
STREAM_BYTES = 16 * PIECE_BYTES
"""Bytes per request of a download."""


class ObjectSource(ArchiveSource):
    """An object of S3, Google or Azure."""

    def __init__(self, url: str) -> None:
        """Request the object's size.

        Raises:
            OnboardingError: URL_UNREACHABLE.
        """
        super().__init__()
        self.url = display(url)
        folder, _, self._name = url.rpartition("/")
        try:
            self._store = open_store(folder)
            about = obstore.head(self._store, self._name)
        except (BaseError, OSError, ValueError) as error:
            raise _unreachable_error(self.url) from error
        self.size: int = about["size"]
        self.version = about["e_tag"] or about["last_modified"].isoformat()

    def _read(self, start: int, length: int) -> bytes:
        try:
            return bytes(obstore.get_range(self._store, self._name, start=start, length=length))
        except (BaseError, OSError) as error:
            raise _unreachable_error(self.url) from error

    def _stream(self, start: int) -> Iterator[bytes]:
        for offset in range(start, self.size, STREAM_BYTES):
            yield self._read(offset, min(STREAM_BYTES, self.size - offset))


class FsspecSource(ArchiveSource):
    """A file of any file system that fsspec supports, by its scheme."""

    def __init__(self, url: str) -> None:
        """Request the file's size.

        Raises:
            OnboardingError: URL_UNREACHABLE, also if the package for the scheme is not installed.
        """
        import fsspec  # type: ignore[import-untyped]

        super().__init__()
        self.url = display(url)
        try:
            self._files, self._name = fsspec.url_to_fs(url)
            about = self._files.info(self._name)
        except ImportError as error:
            raise OnboardingError(
                "URL_UNREACHABLE",
                f"{self.url} can't be read: a package for {scheme_of(url)} is not installed ({error}).",
            ) from error
        except (OSError, ValueError) as error:
            raise _unreachable_error(self.url) from error
        self.size = about["size"]
        self.version = str(about.get("ETag") or about.get("mtime") or about.get("created") or "")

    def _read(self, start: int, length: int) -> bytes:
        try:
            return bytes(self._files.cat_file(self._name, start=start, end=start + length))
        except (OSError, ValueError) as error:
            raise _unreachable_error(self.url) from error

    def _stream(self, start: int) -> Iterator[bytes]:
        try:
            with self._files.open(self._name, "rb") as file:
                file.seek(start)
                while piece := file.read(PIECE_BYTES):
                    yield piece
        except (OSError, ValueError) as error:
            raise _unreachable_error(self.url) from error


def _unreachable_error(url: str) -> OnboardingError:
    return OnboardingError("URL_UNREACHABLE", f"{url} can't be read: it does not exist, or access is denied.")
