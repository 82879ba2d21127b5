"""Small folders of chunks, each sample of which says which one it is."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from factory_pipeline.datasets.streaming.chunk_layout import ARRAY, FLAT, TEXT, ItemLayout

LAYOUT = ItemLayout(("name", "place", "image"), (TEXT, f"{FLAT}10", ARRAY))


def write_chunks(folder: Path, sizes: Sequence[int], pixels: int = 4) -> int:
    """Write chunks of so many samples each; returns their number."""
    folder.mkdir(parents=True)
    chunks, number = [], 0
    for shard, size in enumerate(sizes):
        items = []
        for _ in range(size):
            image = np.full((2, pixels, pixels), number, np.uint16)
            items.append(LAYOUT.encode([f"bild å {number}", np.array([number, 0.5]), image]))
            number += 1
        ends = np.cumsum([4 * (size + 2), *map(len, items)])
        content = np.array([size, *ends], "<u4").tobytes() + b"".join(items)
        path = folder / f"chunk-0-{shard}.bin"
        path.write_bytes(content)
        chunks.append({"filename": path.name, "chunk_size": size, "chunk_bytes": len(content), "dim": None})
    config = {"data_format": list(LAYOUT.kinds), "data_spec": LAYOUT.spec(), "compression": None}
    (folder / "index.json").write_text(json.dumps({"chunks": chunks, "config": config}))
    return number
