"""A release that came in: where its archive is and what the user said of it, under a key for both."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from factory_pipeline.archives.download import fetch, open_source
from factory_pipeline.archives.extract import (
    ArchiveKind,
    DecompressionLimit,
    archive_kind,
    open_tar,
    zip_files,
)
from factory_pipeline.archives.identity import archive_identity
from factory_pipeline.archives.safe_names import is_ignored, tar_member
from factory_pipeline.archives.source import ArchiveSource, LocalSource
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.contents import find_contents, is_release
from factory_pipeline.datalake.ingest.releases.import_release import import_release
from factory_pipeline.datalake.ingest.releases.options import NOTHING_SAID, ReleaseOptions
from factory_pipeline.datalake.ingest.releases.problems import refuse
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datalake.registry.batch_leases import BatchKey
from factory_pipeline.datalake.registry.exclusive import exclusive_work
from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.list_inbox import archive_stem
from factory_pipeline.onboarding.manifest.location import file_name
from factory_pipeline.redaction import display
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.slug import slug

VERSION_DIGITS = 8


@dataclass(frozen=True)
class ReceivedRelease:
    """A release that is to be imported. No secret of its address is kept."""

    key: str
    """`name@version`; the version stands for the archive and the options."""
    shown: str
    """What messages call the archive."""
    place: str | None
    """Path or address of the archive; None where it was downloaded, as its address may hold a secret."""
    bytes: int | None
    """Size of the archive; None where its host does not say."""
    options: ReleaseOptions

    def save(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, home: FactoryHome, key: str) -> Self:
        """Read what `save` wrote.

        Args:
            home: where it was received.
            key: of the upload.

        Raises:
            OnboardingError: URL_UNREACHABLE, nothing was received under this key.
        """
        path = home.release(key).request
        if not path.exists():
            raise OnboardingError("URL_UNREACHABLE", f"No release {key} was received; import it again.")
        read = json.loads(path.read_text(encoding="utf-8"))
        options = read.pop("options")
        return cls(
            **read,
            options=ReleaseOptions.of(**options),
        )


def receive_release(
    address: str, home: FactoryHome, policy: IntakePolicy, options: ReleaseOptions = NOTHING_SAID
) -> ReceivedRelease:
    """Look at the archive of a release where it is, and keep what is known of it under its key.

    Of a zip that can be read in parts the list of files is read, and a release whose images and labels don't
    match is refused before anything is downloaded. An archive whose address may hold a secret is downloaded.

    Args:
        address: URL or path of the archive.
        home: where the release is kept.
        policy: where archives may come from, and their limits.
        options: what the user says of it.

    Raises:
        OnboardingError: the archive can't be opened, is not an archive, or its files don't match.
    """
    shown = display(address)
    name = slug(options.name or archive_stem(file_name(shown)))
    with open_source(address, policy) as source:
        if source.ranged and archive_kind(source) is ArchiveKind.ZIP:
            contents = find_contents((each for each, _ in zip_files(source, shown, policy)), shown)
            if contents.problems and not options.skip_invalid:
                raise refuse(shown, contents.problems)
        identity = f"{archive_identity(source, policy)}\n{json.dumps(asdict(options), sort_keys=True)}"
        key = f"{name}@{hashlib.sha256(identity.encode()).hexdigest()[:VERSION_DIGITS]}"
        place: str | None = address if shown == address else None
        if isinstance(source, LocalSource):
            place = str(source.path)
        received = ReceivedRelease(key, shown, place, source.size, options)
        files = home.release(key)
        if place is None and not files.report.exists():
            fetch(source, files.archive, policy)
    received.save(files.request)
    return received


def import_received(
    registry: Registry, home: FactoryHome, key: str, policy: IntakePolicy
) -> tuple[Collection, ReleaseReport]:
    """Import a release that was received; of two processes, of one machine or two, one waits for the other.

    Args:
        registry: of the home.
        home: where it was received.
        key: of the upload.
        policy: limits of archives.

    Raises:
        OnboardingError: as `import_release`. Nothing of the release is kept then, unless its host is away.
        RegistryError: a shared registry is not available.
    """
    files = home.release(key)
    with exclusive_work(home, files.lock, BatchKey("releases", "import", key)):
        received = ReceivedRelease.load(home, key)
        try:
            archive = _archive(received, home, policy)
            found = import_release(
                registry, home, key, archive, policy, received.options, file_name(received.shown)
            )
        except OnboardingError as error:
            if error.code != "URL_UNREACHABLE":
                files.drop()
            raise
        files.archive.unlink(missing_ok=True)
    return found


def is_release_archive(source: ArchiveSource, policy: IntakePolicy) -> bool:
    """Return whether the content of an archive is a release; reads no further than it must.

    From a host that serves no parts of files a tar is read as it comes; a zip, whose list of files is at its
    end, is not recognised there.

    Args:
        source: of the archive.
        policy: limits of archives.

    Raises:
        OnboardingError: it is not an archive, or a broken or hostile one.
    """
    if source.ranged and archive_kind(source) is ArchiveKind.ZIP:
        return is_release(name for name, _ in zip_files(source, source.url, policy))
    name = file_name(source.url)
    limit = DecompressionLimit(name, policy, source.size)
    with open_tar(source, limit.count, name) as members:
        names = (tar_member(info, name).name for _, info in members if info.isreg())
        return is_release(name for name in names if not is_ignored(name))


def _archive(received: ReceivedRelease, home: FactoryHome, policy: IntakePolicy) -> Path:
    """The archive on this machine; a remote one is downloaded unless it was before."""
    files = home.release(received.key)
    if received.place is not None and not files.archive.exists() and not files.report.exists():
        with open_source(received.place, policy) as source:
            if isinstance(source, LocalSource):
                return source.path
            fetch(source, files.archive, policy)
    return files.archive
