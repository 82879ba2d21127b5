"""Paths of what the studio keeps between two visits."""

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StudioFiles:
    """What the studio keeps between two visits: datasets that are being added, and pictures."""

    root: Path

    @property
    def secret(self) -> Path:
        """Signs forms and logins; only the owner can read it."""
        return self.root / "secret"

    @property
    def drafts(self) -> Path:
        """A folder per dataset that is being added and was not submitted yet."""
        return self.root / "drafts"

    def draft(self, draft_id: str) -> "DraftFiles":
        """Return the files of a dataset that is being added."""
        return DraftFiles(self.drafts / draft_id)

    def picture(self, name: str) -> Path:
        """Return the path of a small picture of a dataset, which can be drawn again."""
        return self.root / "pictures" / f"{name}.webp"


@dataclass(frozen=True)
class DraftFiles:
    """What is known of a dataset that is being added."""

    root: Path

    @property
    def answers(self) -> Path:
        """What was filled in so far (JSON)."""
        return self.root / "draft.json"

    @property
    def archive(self) -> Path:
        """The uploaded archive, as far as it has come."""
        return self.root / "archive"

    @property
    def lock(self) -> Path:
        """Held while a part of the archive is written."""
        return self.root / ".lock"

    @property
    def scan(self) -> Path:
        """What the pre-scan found (JSON)."""
        return self.root / "scan.json"

    def remove(self) -> None:
        """Remove everything of it."""
        shutil.rmtree(self.root, ignore_errors=True)
