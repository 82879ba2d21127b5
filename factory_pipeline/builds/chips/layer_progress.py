"""The progress of a layer of a batch, reported to other processes by a small file."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

SECONDS_BETWEEN_NOTES = 0.5
CALLS: Mapping[str, Sequence[float]] = {
    # The scene classification, then eleven bands; calls for second choices add nothing.
    "sentinel2": (0.1, 0.9),
    "copdem": (1.0,),
    "worldcover": (1.0,),
}
"""By layer: the share of each call of its reader, in their order."""


class LayerProgress:
    """Notes how far a layer is, now and then; the file is gone at the end of the block."""

    def __init__(self, path: Path, calls: Sequence[float]) -> None:
        self._path = path
        self._shares = list(calls)
        self._finished = 0.0
        self._noted_at = 0.0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)

    def report(self, fraction: float) -> None:
        """Note that the present call of the reader is done to this fraction (0 to 1); 1 ends it."""
        share = self._shares[0] if self._shares else 0.0
        now = time.monotonic()
        if now - self._noted_at >= SECONDS_BETWEEN_NOTES:
            self._noted_at = now
            # Nobody depends on it: a full disk must not end the work, and half a number is passed over.
            with suppress(OSError):
                self._path.write_text(f"{self._finished + share * fraction:.4f}", encoding="ascii")
        if fraction >= 1 and self._shares:
            self._finished += self._shares.pop(0)


def read_progress(path: Path) -> float:
    """Return what `LayerProgress` noted last, 0 to 1; 0 if there is none."""
    try:
        return min(max(float(path.read_text(encoding="ascii")), 0.0), 1.0)
    except (OSError, ValueError):
        return 0.0
