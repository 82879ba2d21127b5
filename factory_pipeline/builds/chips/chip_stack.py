"""Chips of one batch as they pass from stage to stage."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.storage.atomic import atomic_write


@dataclass(frozen=True)
class ChipStack:
    """The chips of one layer of one batch: arrays and a table with one row per chip, in the same order."""

    table: pl.DataFrame
    """One row per chip; has `shot_number`."""
    arrays: Mapping[str, NDArray[np.generic]]
    """Each (chips, ...)."""
    rejects: pl.DataFrame
    """The footprints that this stage dropped, in REJECT_SCHEMA."""

    def save(self, path: Path) -> None:
        """Write everything to one uncompressed npz file, atomically."""
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            arrays = {"_table": _to_bytes(self.table), "_rejects": _to_bytes(self.rejects), **self.arrays}
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "ChipStack":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if not name.startswith("_")}
            return cls(_to_frame(stored["_table"]), arrays, _to_frame(stored["_rejects"]))


def keep_chips(chips: NDArray[Any], places: Sequence[int]) -> NDArray[Any]:
    """Move some chips to the front of their array, without a second array; return the part with them.

    Args:
        chips: (n, ...), written to.
        places: of the chips to keep, ascending.
    """
    for target, place in enumerate(places):
        if target != place:
            chips[target] = chips[place]
    return chips[: len(places)]


def _to_bytes(frame: pl.DataFrame) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return np.frombuffer(buffer.getvalue(), dtype=np.uint8)


def _to_frame(stored: NDArray[np.uint8]) -> pl.DataFrame:
    return pl.read_ipc(io.BytesIO(stored.tobytes()))
