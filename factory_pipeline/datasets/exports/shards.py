"""Shards of a stated size, alike for ranks and workers, and `index.json`, which lists them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from factory_pipeline.datasets.model.version_content import VersionContent

INDEX = "index.json"
SHARD_BYTES = 256 << 20
"""About so much is in a shard: large enough to stream, small enough to shuffle and to share among workers."""
SHARDS_FOR_ALL = 8
"""A split is divided into at least so many shards, where it has as many samples, for ranks and workers."""

Shards = Mapping[str, Sequence[Mapping[str, Any]]]
"""By split: `file`, `samples` and `bytes` of each shard, in order."""


def divide(count: int, sample_bytes: int, shard_bytes: int = SHARD_BYTES) -> list[int]:
    """Return how many samples each shard has: their numbers differ by one at most.

    Args:
        count: samples of a split.
        sample_bytes: bytes of one of them.
        shard_bytes: about so much is in a shard.
    """
    shards = max(-(-count * sample_bytes // shard_bytes), min(SHARDS_FOR_ALL, count))
    shards = min(shards, count)
    return [count // shards + (number < count % shards) for number in range(shards)]


def list_shards(split: str, paths: Sequence[Path], samples: Sequence[int]) -> list[dict[str, Any]]:
    """Return the entries of `index.json` for the shards of a split that are written in a folder of its name.

    Args:
        split: whose shards these are.
        paths: of the shards, in order.
        samples: how many each has.
    """
    return [
        {"file": f"{split}/{path.name}", "samples": size, "bytes": path.stat().st_size}
        for path, size in zip(paths, samples, strict=True)
    ]


def write_index(version: VersionContent, folder: Path, shards: Shards) -> None:
    """Write `index.json`: the shards by split, the bands by modality, and the value of each label.

    Args:
        version: that was written.
        folder: of the export.
        shards: by split; of each its file and its number of samples.
    """
    index = {
        "dataset": version.dataset,
        "version": version.number,
        "labels": {label: version.values[label] for label in version.labels},
        "bands": {modality: list(bands) for modality, bands in version.modalities.items()},
        "splits": shards,
    }
    (folder / INDEX).write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_shards(folder: Path) -> Shards:
    """Return what `index.json` says of the shards."""
    shards: Shards = json.loads((folder / INDEX).read_text(encoding="utf-8"))["splits"]
    return shards
