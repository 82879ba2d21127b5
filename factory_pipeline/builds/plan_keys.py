"""The keys of the batches of a plan, of footprints or of the labels of a recipe."""

import hashlib
import itertools
from functools import cached_property
from pathlib import Path

import polars as pl

ROWS_READ_AHEAD = 25_000
"""Samples of a saved plan that are read together."""

ROWS_OF_GROUP = 50_000
"""Samples of a row group of a saved plan."""


class PlanKeys:
    """What a plan knows of its batches by their keys."""

    table: pl.DataFrame
    """A row per sample with its `batch`, in the order of the plan."""

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Samples of each batch, by key, in the order of the plan."""
        counts = self.table.group_by("batch", maintain_order=True).agg(size=pl.len())
        return dict(zip(counts["batch"], counts["size"], strict=True))

    @property
    def starts(self) -> dict[str, int]:
        """The row of the first sample of each batch, by key."""
        return dict(zip(self.sizes, itertools.accumulate(self.sizes.values(), initial=0), strict=False))

    @property
    def footprints(self) -> int:
        """Samples of all batches."""
        return sum(self.sizes.values())

    @property
    def digest(self) -> str:
        """SHA-256 of the keys, in hex: it changes with any batch."""
        return hashlib.sha256("\n".join(self.keys).encode()).hexdigest()

    @property
    def keys(self) -> list[str]:
        """The keys of all batches, in the order of the plan."""
        return list(self.sizes)

    def keys_of(self, split: str) -> list[str]:
        """Return the keys of a split's batches, in the order in which they are fused."""
        return [key for key in self.sizes if split_of(key) == split]


class StoredBatches(PlanKeys):
    """A saved plan of which the keys are in memory, and the samples of some neighbouring batches."""

    def __init__(self, path: Path) -> None:
        """Open a plan.

        Args:
            path: of the Parquet file with its table.
        """
        self._path = path
        self._near: pl.DataFrame | None = None

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Samples of each batch, by key, in the order of the plan."""
        counts = (
            pl.scan_parquet(self._path).group_by("batch", maintain_order=True).agg(size=pl.len()).collect()
        )
        return dict(zip(counts["batch"], counts["size"], strict=True))

    def scan(self) -> pl.LazyFrame:
        """Return the table, lazily: of the file that is at its path when it is read."""
        return pl.scan_parquet(self._path)

    def batch(self, key: str) -> pl.DataFrame:
        """Return the samples of one batch, in their order; empty for a key that is not in the plan."""
        size, members = self.sizes.get(key), pl.col("batch") == key
        if size is not None:
            near = self._near.filter(members) if self._near is not None else None
            if near is None or near.height != size:
                # A run works on neighbours, in the order of the plan.
                self._near = self.scan().slice(self._offsets[key], max(size, ROWS_READ_AHEAD)).collect()
                near = self._near.filter(members)
            if near.height == size:
                return near
        # Not in the plan, or in another one that was saved at this path meanwhile.
        return self.scan().filter(members).collect()

    @cached_property
    def _offsets(self) -> dict[str, int]:
        return self.starts


def split_of(key: str) -> str:
    """Return the split that a batch key belongs to."""
    return key.rsplit("-", 2)[0]
