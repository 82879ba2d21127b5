"""Which of a build's last stages is at work and how far it is: a small file that other processes read."""

import json
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from factory_pipeline.builds.chips.layer_progress import SECONDS_BETWEEN_NOTES


class StageProgress:
    """Notes that a stage is at work and how far it is; the file is gone at the end of the block."""

    def __init__(self, path: Path, stage: str) -> None:
        """Prepare the notes of a stage; the first one is written when the block is entered.

        Args:
            path: of the file.
            stage: name of the asset.
        """
        self._path = path
        self._stage = stage
        self._noted_at = 0.0

    def __enter__(self) -> Self:
        self._note(None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def report(self, done: int, total: int) -> None:
        """Note how much of the stage is done.

        Args:
            done: samples so far.
            total: samples of all.
        """
        now = time.monotonic()
        if now - self._noted_at >= SECONDS_BETWEEN_NOTES:
            self._noted_at = now
            self._note(done / max(total, 1))

    def _note(self, fraction: float | None) -> None:
        # Nobody depends on it: a full disk must not end the work, and half a note is passed over.
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps({"stage": self._stage, "fraction": fraction}), encoding="utf-8")


def read_stage(path: Path) -> tuple[str, float | None] | None:
    """Return the stage that `StageProgress` noted last, and how far it is (0 to 1; None: not known).

    Args:
        path: of the file; None is returned where it does not exist or can't be read.
    """
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        return noted["stage"], noted["fraction"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
