"""The keys of the batches of a plan, of footprints or of the labels of a recipe."""

import hashlib
from functools import cached_property

import polars as pl


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


def split_of(key: str) -> str:
    """Return the split that a batch key belongs to."""
    return key.rsplit("-", 2)[0]
