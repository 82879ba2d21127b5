"""The archive of a received upload: facts of its host, a copy on this machine, its unpacked files."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from factory_pipeline.archives.download import fetch, open_source
from factory_pipeline.archives.extract import (
    archive_kind,
    extract,
)
from factory_pipeline.archives.identity import archive_identity, content_digest, is_known_by_content
from factory_pipeline.archives.source import ArchiveSource, LocalSource
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.received_upload import ReceivedUpload, current_address
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.upload_files import UploadFiles


@dataclass(frozen=True)
class ArchiveFacts:
    """What the host of an archive reports."""

    address: str
    """As it may be shown."""
    bytes: int | None
    """None if the host does not say."""
    format: str
    """`zip`, `tar`, or empty where nothing can be known before the download."""
    in_parts: bool
    """Whether parts of it can be read."""


@dataclass(frozen=True)
class UploadArchive:
    """The archive that an upload was received with; each result is written once and read again later."""

    upload: ReceivedUpload
    files: UploadFiles
    policy: IntakePolicy

    def facts(self) -> ArchiveFacts:
        """Return what the host reports.

        Raises:
            OnboardingError: the archive can't be opened, is not an archive, or SOURCE_CHANGED.
        """
        if not self.files.archive_facts.exists():
            with self._open() as source:
                kind = archive_kind(source).value if source.ranged else ""
                facts = ArchiveFacts(source.url, source.size, kind, source.ranged)
            write_text(self.files.archive_facts, json.dumps(asdict(facts), indent=2) + "\n")
        return ArchiveFacts(**json.loads(self.files.archive_facts.read_text(encoding="utf-8")))

    def local_file(self) -> Path:
        """Return the archive as a file of this machine: a local one at its own path, or the downloaded one.

        Raises:
            OnboardingError: it can't be downloaded, or SOURCE_CHANGED.
        """
        if self.files.archive.exists():
            return self.files.archive
        with self._open() as source:
            if source.local:
                return Path(source.url)
            fetch(source, self.files.archive, self.policy)
            self._check_content(source)
        return self.files.archive

    def unpacked(self) -> Path:
        """Return the folder of the unpacked archive.

        Raises:
            OnboardingError: the archive is broken or hostile, can't be downloaded, or SOURCE_CHANGED.
        """
        if not self.files.unpacked.exists():
            archive = self.local_file()
            # A download has a name of ours; its address is what the user knows.
            shown = self.facts().address if archive == self.files.archive else None
            extract(archive, self.files.unpacked, self.policy, shown)
        return self.files.unpacked

    def _open(self) -> ArchiveSource:
        """Return the archive at its address, in the state in which it was received."""
        source = open_source(current_address(self.upload, self.files), self.policy)
        try:
            # What only its content tells is compared once it is downloaded.
            can_wait = not source.local and is_known_by_content(source)
            if not can_wait and archive_identity(source, self.policy) != self.upload.identity:
                raise self._changed_error(source.url)
        except OnboardingError:
            source.close()
            raise
        return source

    def _check_content(self, source: ArchiveSource) -> None:
        """Compare a download with what was received, where its host says nothing of its state."""
        if not is_known_by_content(source):
            return
        with LocalSource(self.files.archive) as downloaded:
            if content_digest(downloaded, self.policy) != self.upload.identity:
                self.files.archive.unlink()
                raise self._changed_error(source.url)

    def _changed_error(self, address: str) -> OnboardingError:
        key = self.upload.key
        return OnboardingError(
            "SOURCE_CHANGED", f"{address} was changed since {key} was received; drop its manifest again."
        )
