"""The dataset file: writing, fusing, and reading for training, against h5py's own ways and `cp`."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.measure import Run, interleaved, median_run, timed
from benchmarks.report import Row, main, met, table
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.codec import Compression
from factory_pipeline.hdf5.fuse import fuse_datasets
from factory_pipeline.hdf5.layout import lay_out
from factory_pipeline.hdf5.read import DEFAULT_FIELDS, FusedDataset
from factory_pipeline.hdf5.recompress import recompress
from factory_pipeline.hdf5.schema import Samples, dataset_fields
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples, named_batch

BATCHES, SAMPLES = 4, 1000
LENGTH = 64
"""Of a training batch."""
TRAINING_BATCHES = 30
REPEATS = 5
GOAL_FUSE, GOAL_LOADER = 0.9, 3.0
GOAL_PLAIN = 5.0
"""CPU us per sample without compression."""
RECIPE = Recipe()
FIELDS = dataset_fields(RECIPE.sentinel2.bands, RECIPE.window_size)
LABEL = "AGBD Values"


def benchmark(scale: float) -> list[str]:
    """The tables; `scale` changes the number of samples."""
    count = max(LENGTH, round(SAMPLES * scale))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        samples = made_samples(count)
        paths = [root / f"train-{number:05d}.h5" for number in range(BATCHES)]
        for path in paths:
            write_dataset(path, named_batch(samples, path.stem), RECIPE, "train")
        fused = root / "train_dataset.h5"
        fuse_datasets(paths, fused, RECIPE, "train", [count] * BATCHES)
        stored = {Compression.DEFLATE: fused} | {
            each: root / f"{each}.h5" for each in (Compression.ZSTD, Compression.NONE)
        }
        for each in (Compression.ZSTD, Compression.NONE):
            recompress(fused, stored[each], each)
        return [
            writing(root, samples),
            fusing(root, paths, count),
            reading(fused, "random", _random_batches(count * BATCHES)),
            reading(fused, "sequential", _batches_in_order(count * BATCHES)),
            reading_stored(stored, _random_batches(count * BATCHES)),
        ]


def writing(root: Path, samples: Samples) -> str:
    """One batch file."""
    raw = sum(field.values(samples).nbytes for field in FIELDS if field.is_raster) / 1e6
    runs = _medians(
        {
            "write_dataset": partial(write_dataset, root / "ours.h5", samples, RECIPE, "train"),
            "h5py with its gzip filter, the same layout": partial(write_by_h5py, root / "theirs.h5", samples),
        }
    )
    sizes = {name: (root / file).stat().st_size / 1e6 for name, file in zip(runs, _WRITTEN, strict=True)}
    base = list(runs.values())[-1].seconds
    rows = [
        (name, raw / run.seconds, base / run.seconds, run.cpu_s, sizes[name]) for name, run in runs.items()
    ]
    columns = ("how", "MB/s of pixels", "times h5py", "CPU s", "MB written")
    return table(f"Writing a batch of {len(samples):,} samples, {raw:.0f} MB of pixels", columns, rows)


_WRITTEN = ("ours.h5", "theirs.h5")


def write_by_h5py(path: Path, samples: Samples) -> None:
    """The same datasets, filled by assignment."""
    with h5py.File(path, "w") as file:
        lay_out(file, FIELDS, len(samples), RECIPE, "train")
        for field in FIELDS:
            file[field.path][:] = field.values(samples).astype(field.dtype)


def fusing(root: Path, paths: Sequence[Path], count: int) -> str:
    """All batch files into one."""
    size = sum(path.stat().st_size for path in paths) / 1e6
    runs = _medians(
        {
            "cp of the batch files, synced": partial(copy, paths, root / "copy", synced=True),
            "cp of the batch files": partial(copy, paths, root / "copy", synced=False),
            "fuse_datasets": partial(
                fuse_datasets, paths, root / "fused.h5", RECIPE, "train", [count] * len(paths)
            ),
            "h5py, read and append": partial(append, paths, root / "appended.h5", count),
        }
    )
    base = next(iter(runs.values())).seconds
    rows: list[Row] = []
    for name, run in runs.items():
        goal = met(base / run.seconds >= GOAL_FUSE) if name == "fuse_datasets" else ""
        rows.append((name, size / run.seconds, base / run.seconds, run.cpu_s, goal))
    columns = ("how", "MB/s", "speed of cp, synced", "CPU s", f"goal {GOAL_FUSE}")
    title = f"Fusing {len(paths)} batch files of {count:,} samples, {size:.0f} MB"
    return table(title, columns, rows)


def copy(paths: Sequence[Path], target: Path, *, synced: bool) -> None:
    """Copy the files as `cp` does; fusing syncs its file, so `synced` compares like with like."""
    target.mkdir(exist_ok=True)
    for path in paths:
        shutil.copyfile(path, target / path.name)
        if synced:
            with (target / path.name).open("rb+") as file:
                os.fsync(file.fileno())


def append(paths: Sequence[Path], target: Path, count: int) -> None:
    """What a script would do: decompress and compress every sample again."""
    with h5py.File(target, "w") as fused:
        lay_out(fused, FIELDS, count * len(paths), RECIPE, "train")
        for number, path in enumerate(paths):
            with h5py.File(path) as file:
                for field in FIELDS:
                    fused[field.path][number * count : (number + 1) * count] = file[field.path][:]


def reading(path: Path, kind: str, batches: Sequence[np.ndarray]) -> str:
    """Training batches of the default fields and the label."""
    dataset, alone = FusedDataset(path), FusedDataset(path, threads=1)
    with h5py.File(path) as file:
        works: dict[str, Callable[[], Any]] = {
            "h5py, index lists" if kind == "random" else "h5py, slices": partial(
                by_index_list if kind == "random" else by_slice, file, batches
            ),
            "h5py, sample by sample": partial(by_sample, file, batches),
            "FusedDataset": partial(by_dataset, dataset, batches),
            "FusedDataset, one thread": partial(by_dataset, alone, batches),
        }
        runs = _medians(works)
    samples = sum(map(len, batches))
    base = next(iter(runs.values())).seconds
    rows: list[Row] = []
    for name, run in runs.items():
        goal = met(base / run.seconds >= GOAL_LOADER) if name == "FusedDataset" and kind == "random" else ""
        rows.append((name, samples / run.seconds, base / run.seconds, 1e6 * run.cpu_s / samples, goal))
    columns = ("how", "samples/s", "times the first", "CPU us per sample", f"goal {GOAL_LOADER:g}")
    return table(f"Reading {len(batches)} {kind} batches of {LENGTH}", columns, rows)


def reading_stored(stored: Mapping[Compression, Path], batches: Sequence[np.ndarray]) -> str:
    """Random training batches of the same samples, stored in each way."""
    works = {
        f"FusedDataset, {each}, {threads} thread{'s' * (threads > 1)}": partial(
            by_dataset, FusedDataset(path, threads=threads), batches
        )
        for each, path in stored.items()
        for threads in (1, 2)
    }
    works["numpy, memory to memory: the bound"] = partial(by_copying, stored[Compression.NONE], batches)
    runs = _medians(works)
    samples = sum(map(len, batches))
    sizes = [path.stat().st_size / 1e6 for path in stored.values() for _ in (1, 2)]
    rows: list[Row] = []
    for (name, run), size in zip(runs.items(), [*sizes, sizes[-1]], strict=True):
        cost = 1e6 * run.cpu_s / samples
        goal = met(cost <= GOAL_PLAIN) if f" {Compression.NONE}, 1" in name else ""
        rows.append((name, samples / run.seconds, cost, size, goal))
    columns = ("how", "samples/s", "CPU us per sample", "MB of the file", f"goal {GOAL_PLAIN:g} us")
    return table(f"Reading {len(batches)} random batches of {LENGTH}, by compression", columns, rows)


def by_copying(path: Path, batches: Sequence[np.ndarray]) -> None:
    """The rasters of each sample from one place in memory to another, which no reader can do without."""
    with h5py.File(path) as file:
        rasters = [file[f"data/{name}"] for name in DEFAULT_FIELDS]
        rows = [np.empty((LENGTH, *raster.shape[1:]), raster.dtype) for raster in rasters]
    for _ in batches:
        for values in rows:
            _ = values.copy()


def by_index_list(file: h5py.File, batches: Sequence[np.ndarray]) -> None:
    """h5py takes indices in rising order only, so that the batch is put in order afterwards."""
    for batch in batches:
        order = np.argsort(batch)
        for name in (*DEFAULT_FIELDS, LABEL):
            _ = file[f"data/{name}"][batch[order]][np.argsort(order)]


def by_slice(file: h5py.File, batches: Sequence[np.ndarray]) -> None:
    """Batches that are contiguous."""
    for batch in batches:
        for name in (*DEFAULT_FIELDS, LABEL):
            _ = file[f"data/{name}"][batch[0] : batch[-1] + 1]


def by_sample(file: h5py.File, batches: Sequence[np.ndarray]) -> None:
    """As a map-style dataset reads that opens the file with h5py."""
    for batch in batches:
        for name in (*DEFAULT_FIELDS, LABEL):
            dataset = file[f"data/{name}"]
            _ = np.stack([dataset[sample] for sample in batch])


def by_dataset(dataset: FusedDataset, batches: Sequence[np.ndarray]) -> None:
    """The project's own reader."""
    for batch in batches:
        dataset.read_batch(batch)


def _random_batches(samples: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.choice(samples, LENGTH, replace=False) for _ in range(TRAINING_BATCHES)]


def _batches_in_order(samples: int) -> list[np.ndarray]:
    return [
        np.arange(start, start + LENGTH)
        for start in range(0, min(samples - LENGTH + 1, TRAINING_BATCHES * LENGTH), LENGTH)
    ]


def _medians(works: Mapping[str, Callable[[], Any]]) -> dict[str, Run]:
    runs = interleaved({name: partial(timed, work) for name, work in works.items()}, REPEATS)
    return {name: median_run(measured) for name, measured in runs.items()}


if __name__ == "__main__":
    main(benchmark, __doc__)
