"""A dataset that is being added: its answers and its archive, kept in the home until it is submitted.

Everything is on the disk: a draft is the same after its page was left and after the server was restarted.
"""

import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import FactoryError
from factory_pipeline.onboarding.list_inbox import ARCHIVE_ENDINGS
from factory_pipeline.storage.atomic import file_lock, is_held, write_text
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.studio_files import DraftFiles

KEPT = timedelta(days=30)
"""A draft that nobody has looked at, changed or sent a part of its archive to for longer is removed."""
DRAFT_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class UploadedFile:
    """The archive as the browser names it; the same values mean the same file of the person's disk."""

    name: str
    bytes: int
    modified: str
    """When it was changed last, as the browser says it."""

    @property
    def ending(self) -> str:
        """Such as `.tar.gz`; empty where it is no archive by its name."""
        return next((ending for ending in ARCHIVE_ENDINGS if self.name.lower().endswith(ending)), "")


@dataclass(frozen=True)
class Draft:
    """A dataset that is being added."""

    id: str
    files: DraftFiles
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """The keys of the manifest that were answered, as it spells them."""
    file: UploadedFile | None = None
    """The archive that is uploaded; None if the manifest has a link."""
    updated: str = ""

    @property
    def received(self) -> int:
        """Bytes of the archive that have come."""
        return self.files.archive.stat().st_size if self.files.archive.exists() else 0

    @property
    def has_archive(self) -> bool:
        """Whether the archive is there as a whole, or has an address."""
        if self.file is not None:
            return self.received == self.file.bytes
        return bool(self.manifest.get("dataset_url"))

    @property
    def address(self) -> str:
        """What is opened for the pre-scan."""
        return str(self.files.archive) if self.file is not None else str(self.manifest.get("dataset_url", ""))

    @property
    def source(self) -> str:
        """What the person calls the archive."""
        return self.file.name if self.file is not None else str(self.manifest.get("dataset_url", ""))

    @property
    def title(self) -> str:
        """What the draft is listed as."""
        return str(self.manifest.get("dataset_name") or self.source or "Without a name")

    def answered(self, **answers: Any) -> Self:
        """Return the draft with some keys of the manifest replaced; None removes one."""
        merged = {**self.manifest, **answers}
        return replace(self, manifest={key: value for key, value in merged.items() if value is not None})

    def save(self) -> Self:
        """Write the draft down."""
        saved = replace(self, updated=datetime.now(UTC).isoformat(timespec="seconds"))
        document = {
            "manifest": saved.manifest,
            "file": asdict(saved.file) if saved.file is not None else None,
            "updated": saved.updated,
        }
        write_text(self.files.answers, json.dumps(document, ensure_ascii=False, indent=2) + "\n")
        return saved

    def policy(self, home: FactoryHome) -> IntakePolicy:
        """Return what may be opened for the pre-scan: what the sensor may open too, and this archive."""
        policy = IntakePolicy.of_home(home)
        return policy.model_copy(update={"folders": (*policy.folders, self.files.root)})


def new_draft(home: FactoryHome) -> Draft:
    """Return a draft without answers, which is not written down yet."""
    draft_id = secrets.token_hex(8)
    return Draft(draft_id, home.studio.draft(draft_id))


def load_draft(home: FactoryHome, draft_id: str) -> Draft:
    """Return a draft.

    Args:
        home: with the drafts.
        draft_id: as in its address.

    Raises:
        FactoryError: there is none of this id; it may have been submitted or dropped.
    """
    if not DRAFT_ID.fullmatch(draft_id) or not home.studio.draft(draft_id).answers.exists():
        raise FactoryError("There is no such draft: it was submitted or dropped.")
    files = home.studio.draft(draft_id)
    known = json.loads(files.answers.read_text(encoding="utf-8"))
    file = UploadedFile(**known["file"]) if known["file"] is not None else None
    return Draft(draft_id, files, known["manifest"], file, known["updated"])


def list_drafts(home: FactoryHome) -> list[Draft]:
    """Return all drafts, the one that was worked on last first."""
    folder: Path = home.studio.drafts
    ids = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = [load_draft(home, one) for one in ids if home.studio.draft(one).answers.exists()]
    return sorted(found, key=lambda draft: (draft.updated, draft.id), reverse=True)


def drop_old_drafts(
    home: FactoryHome, in_use: Collection[str] = (), now: datetime | None = None
) -> list[str]:
    """Remove the drafts that nobody has used for longer than KEPT, with what has come of their archives.

    Args:
        home: that has them.
        in_use: ids of drafts that are kept however old they are, such as those of a pre-scan that runs.
        now: the time from which their age is counted; the present by default.

    Returns:
        The ids of the removed drafts.
    """
    before = ((now or datetime.now(UTC)) - KEPT).timestamp()
    folder = home.studio.drafts
    ids = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    dropped = []
    for draft_id in ids:
        files = home.studio.draft(draft_id)
        is_kept = draft_id in in_use or not DRAFT_ID.fullmatch(draft_id) or is_held(files.lock)
        if is_kept or _last_use(files) >= before:
            continue
        with file_lock(files.lock):
            # A part may have come while the lock was waited for.
            if _last_use(files) < before:
                files.remove()
                dropped.append(draft_id)
    return dropped


def _last_use(files: DraftFiles) -> float:
    """Return when a draft was looked at or changed last, in seconds since 1970."""
    paths = (files.answers, files.archive, files.scan)
    times = [path.stat().st_mtime for path in paths if path.exists()]
    return max(times, default=files.root.stat().st_mtime)
