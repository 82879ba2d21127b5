"""Streaming of shards for training: from a disk and over a link, against LitData where it is installed."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.link import ArchiveServer, Link
from benchmarks.measure import interleaved, median_run, timed
from benchmarks.report import Row, is_installed, main, met, table
from factory_pipeline.datasets.streaming import StreamingDataset
from factory_pipeline.datasets.streaming.chunk_layout import ARRAY, TEXT, ItemLayout

SAMPLES, LENGTH, REPEATS = 8_000, 64, 3
SHARD = 2_600
"""Samples of a shard of about 64 MB."""
LATENCY_S = 0.03
GOAL = 1.5
"""Times as fast as LitData."""
LAYOUT = ItemLayout(("name", "image"), (TEXT, ARRAY))


def benchmark(scale: float) -> list[str]:
    """The tables; `scale` changes the number of samples."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        count = max(LENGTH, round(SAMPLES * scale))
        write_shards(root / "train", count)
        return [from_disk(root / "train", count), over_link(root, count)]


def write_shards(folder: Path, count: int) -> None:
    """Random images of 12 bands of 32 x 32, in chunks as LitData and exports have them."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    chunks = []
    for number, start in enumerate(range(0, count, SHARD)):
        size = min(SHARD, count - start)
        images = rng.integers(0, 4000, (size, 12, 32, 32), np.uint16)
        items = [LAYOUT.encode([f"sample {start + row}", image]) for row, image in enumerate(images)]
        ends = np.cumsum([4 * (size + 2), *map(len, items)])
        content = np.array([size, *ends], "<u4").tobytes() + b"".join(items)
        name = f"chunk-0-{number}.bin"
        (folder / name).write_bytes(content)
        chunks.append({"filename": name, "chunk_size": size, "chunk_bytes": len(content), "dim": None})
    config = {
        "chunk_bytes": 64 << 20,
        "chunk_size": None,
        "compression": None,
        "data_format": list(LAYOUT.kinds),
        "data_spec": LAYOUT.spec(),
        "encryption": None,
        "item_loader": "PyTreeLoader",
    }
    index = {"chunks": chunks, "config": config, "updated_at": "1"}
    (folder / "index.json").write_text(json.dumps(index))


def from_disk(folder: Path, count: int) -> str:
    """An epoch in random order, stacked to batches."""
    works: dict[str, Callable[[], int]] = {
        "StreamingDataset": partial(read_epoch, partial(StreamingDataset, folder))
    }
    if is_installed("litdata"):
        works["LitData"] = partial(read_epoch, partial(litdata_of, folder))
    runs = {
        name: median_run(measured)
        for name, measured in interleaved(
            {name: partial(timed, work) for name, work in works.items()}, REPEATS
        ).items()
    }
    base = runs["LitData"].seconds if "LitData" in runs else None
    rows: list[Row] = []
    for name, run in runs.items():
        times = None if base is None else base / run.seconds
        goal = met(times >= GOAL) if times is not None and name != "LitData" else ""
        rows.append((name, count / run.seconds, 1e6 * run.cpu_s / count, times, goal))
    columns = ("how", "samples/s", "CPU us per sample", "times LitData", f"goal {GOAL:g}")
    return table(f"An epoch of {count:,} samples in shards on a disk, batches of {LENGTH}", columns, rows)


def litdata_of(folder: Path) -> Any:
    """LitData's reader of the same chunks."""
    import litdata

    return litdata.StreamingDataset(str(folder), shuffle=True)


def over_link(root: Path, count: int) -> str:
    """The same from a server with a latency, by how many blocks are fetched ahead."""
    rows: list[Row] = []
    with ArchiveServer(root, Link(LATENCY_S)) as server:
        for ahead in (1, 4, 16):
            began, cpu = time.perf_counter(), time.process_time()
            read_epoch(partial(StreamingDataset, f"{server.url}/train", ahead=ahead))
            seconds = time.perf_counter() - began
            rows.append((ahead, count / seconds, 1e6 * (time.process_time() - cpu) / count))
    columns = ("blocks ahead", "samples/s", "CPU us per sample")
    return table(f"An epoch of {count:,} samples over a link of {1000 * LATENCY_S:g} ms", columns, rows)


def read_epoch(opened: Callable[[], Any]) -> int:
    """Read all samples in batches, and return how many they were."""
    return sum(len(batch) for batch in batches_of(iter(opened())))


def batches_of(samples: Iterator[Any]) -> Iterator[np.ndarray]:
    """Images, stacked."""
    images = []
    for sample in samples:
        images.append(sample["image"])
        if len(images) == LENGTH:
            yield np.stack(images)
            images = []
    if images:
        yield np.stack(images)


if __name__ == "__main__":
    main(benchmark, __doc__)
