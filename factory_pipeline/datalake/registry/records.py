"""The records that the registry returns: one frozen dataclass per row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class UploadStatus(StrEnum):
    """The state of an upload."""

    PENDING = "Pending"
    ONBOARDING = "Onboarding"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class CollectionSource(StrEnum):
    """How a collection entered the factory."""

    GEDI = "gedi"
    RECIPE = "recipe"
    UPLOAD = "upload"
    RELEASE = "release"
    PAIRS = "pairs"


class AnnotationSource(StrEnum):
    """Who made annotations: people or a model."""

    HUMAN = "human"
    MACHINE = "machine"


class VersionState(StrEnum):
    """The state of a version; only a ready one can be read."""

    WRITING = "writing"
    READY = "ready"
    DELETING = "deleting"
    DELETED = "deleted"


class ExportState(StrEnum):
    """Whether the files of an export are complete."""

    WRITING = "writing"
    READY = "ready"


class LeaseKind(StrEnum):
    """Whether the holder of a lease reads or writes a version."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True)
class Upload:
    """A manifest that was registered; the key identifies its content."""

    key: str
    """`name@sha8`."""
    name: str
    manifest: str
    """YAML."""
    status: UploadStatus
    reason: str | None
    """Why it failed, as a sentence for the user."""
    code: str | None
    """The error code of the failure."""
    run_id: str | None
    """The run that set the status."""
    created: datetime
    updated: datetime
    deleted_at: datetime | None
    """None unless it is deleted; the record of a deleted upload stays."""


def corrected_failures(uploads: Sequence[Upload]) -> frozenset[str]:
    """Return keys of the failed uploads for which a later one of the same name succeeded.

    Args:
        uploads: in the order of their registration.
    """
    corrected, succeeded = set(), set()
    for upload in reversed(uploads):
        if upload.status is UploadStatus.SUCCEEDED:
            succeeded.add(upload.name)
        elif upload.status is UploadStatus.FAILED and upload.name in succeeded:
            corrected.add(upload.key)
    return frozenset(corrected)


@dataclass(frozen=True)
class Collection:
    """Items that were registered together."""

    id: str
    name: str
    source: CollectionSource
    items_path: str
    """The Parquet file of its items."""
    item_count: int
    content_hash: str
    """SHA-256 in hex."""
    created: datetime
    deleted_at: datetime | None


@dataclass(frozen=True)
class Operation:
    """One annotation project or model run over the items of a collection."""

    id: str
    collection_id: str
    source: AnnotationSource
    path: str
    """The Parquet file of its annotations."""
    created: datetime


@dataclass(frozen=True)
class Dataset:
    """A named sequence of versions."""

    id: str
    name: str
    created: datetime
    deleted_at: datetime | None


@dataclass(frozen=True)
class Version:
    """One immutable version of a dataset."""

    id: str
    dataset_id: str
    major: int
    minor: int
    patch: int
    source_version_id: str | None
    """The version that it is based on; None for the first one."""
    state: VersionState
    spec: dict[str, Any]
    """The request: split_info, labels, query, filter, operations, augmentations."""
    manifest_path: str | None
    """The Parquet file of its items; None until it is ready."""
    content_hash: str | None
    """SHA-256 in hex; None until it is ready."""
    created: datetime

    @property
    def number(self) -> str:
        """Such as `1.0.4`."""
        return f"{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True)
class Lease:
    """A process reads or writes a version until `expires`, which is extended while the work lasts."""

    id: str
    version_id: str
    kind: LeaseKind
    holder: str
    """As `lease_holders.this_process` names it."""
    expires: datetime


@dataclass(frozen=True)
class Export:
    """A version exported in one format."""

    id: str
    version_id: str
    type: str
    """Such as `YOLO Darknet`."""
    state: ExportState
    lease_id: str | None
    """The lease under which it is written; None once it is ready."""
    path: str | None
    content_hash: str | None
    """SHA-256 in hex; None until it is ready."""
    created: datetime
