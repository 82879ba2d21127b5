"""Paths of every file of one set of image pairs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PairSetFiles:
    """What a spec that was dropped into the inbox becomes."""

    root: Path

    @property
    def spec(self) -> Path:
        """The spec, as it was dropped (JSON)."""
        return self.root / "spec.json"

    @property
    def batches(self) -> Path:
        """The keys of the batches of its sections, in their order (JSON)."""
        return self.root / "batches.json"

    @property
    def dataset(self) -> Path:
        """A folder with the files of image pairs and fields, the table of pairs and the spec."""
        return self.root / "dataset"

    @property
    def shards(self) -> Path:
        """A folder with the shards of the fields."""
        return self.root / "shards"

    @property
    def shard_keys(self) -> Path:
        """The keys of the shards, in their order (JSON)."""
        return self.root / "shards.json"
