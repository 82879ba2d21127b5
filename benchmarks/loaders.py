"""Training batches of the same samples by several loaders: dataset files, GeoTIFFs, LitData and others.

Every loader reads each sample of 12 bands of 32 x 32 once per epoch, in random order, in one process. Peers
are measured where they are installed.
"""

import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Work, interleaved, median_run, run_alone
from benchmarks.report import Row, is_installed, main, met, table
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.codec import Compression
from factory_pipeline.hdf5.read import FusedDataset
from factory_pipeline.hdf5.recompress import recompress
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples

SAMPLES, LENGTH, EPOCHS, REPEATS = 4_000, 64, 5, 3
IMAGES = "Sentinel-2 L2A"
"""The dataset of the file that is read."""
GOAL_LITDATA, GOAL_GEOTIFF = 1.5, 3.0
"""Times as many samples a second."""
GOAL_US = 5.0
"""CPU time per sample that is not compressed."""
CHUNK_BYTES = 64 << 20
Images = NDArray[np.uint16]


@dataclass(frozen=True)
class Loader:
    """A way to read the samples."""

    name: str
    compression: Compression
    prepare: Callable[..., Work]
    needs: Sequence[str] = ()
    """Modules of peers."""
    goal: float | None = None
    """How many times as fast the dataset file of the same compression is to be."""


def benchmark(scale: float) -> list[str]:
    """The table; `scale` changes the number of samples."""
    count = max(2 * LENGTH, round(SAMPLES * scale))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        samples = made_samples(count)
        np.save(root / "images.npy", samples.sentinel2)
        write_dataset(root / f"{Compression.DEFLATE}.h5", samples, Recipe(), "train")
        for compression in (Compression.NONE, Compression.ZSTD):
            recompress(
                root / f"{Compression.DEFLATE}.h5",
                root / f"{compression}.h5",
                compression,
            )
        found = [loader for loader in LOADERS if all(map(is_installed, loader.needs))]
        works = {
            (loader.name, loader.compression): partial(
                run_alone, epochs_of, loader.prepare, root, loader.compression
            )
            for loader in found
        }
        runs = {key: median_run(each) for key, each in interleaved(works, REPEATS).items()}
    rows: list[Row] = []
    read = count * EPOCHS
    for loader in found:
        run = runs[loader.name, loader.compression]
        cost = 1e6 * run.cpu_s / read
        times = run.seconds / runs[OURS, loader.compression].seconds
        goal = "" if loader.goal is None else f"{loader.goal:g} x: {met(times >= loader.goal)}"
        if (loader.name, loader.compression) == (OURS, Compression.NONE):
            goal = f"{GOAL_US:g} us: {met(cost <= GOAL_US)}"
        shown = None if loader.name == OURS else times
        rows.append((loader.name, loader.compression.value, read / run.seconds, cost, shown, goal))
    columns = ("how", "compression", "samples/s", "CPU us per sample", f"{OURS} is faster by", "goal")
    title = f"{EPOCHS} epochs of {count:,} samples of 12 x 32 x 32 uint16 in random batches of {LENGTH}"
    return [table(title, columns, rows)]


def epochs_of(prepare: Callable[..., Work], *arguments: object) -> Work:
    """Return what reads the epochs of a loader: one alone is shorter than the clock of CPU time is fine."""
    work = prepare(*arguments)
    return lambda: sum(work() for _ in range(EPOCHS))


def of_file(root: Path, compression: Compression) -> Work:
    """A dataset file in batches."""
    dataset = FusedDataset(root / f"{compression}.h5", [IMAGES], threads=1)
    order = np.random.default_rng(0).permutation(len(dataset))
    batches = [order[start : start + LENGTH] for start in range(0, len(order), LENGTH)]
    return lambda: sum(len(dataset.read_batch(batch)[IMAGES]) for batch in batches)


def of_geotiffs(root: Path, compression: Compression) -> Work:
    """A file per sample, opened by rasterio in a dataset of PyTorch."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    folder, images = _folder(root, f"geotiff-{compression}"), _images(root)
    stored = {} if compression is Compression.NONE else {"compress": compression.value, "predictor": 2}
    profile = {"driver": "GTiff", "count": 12, "height": 32, "width": 32, "dtype": "uint16", **stored}
    for number, image in enumerate(images):
        with rasterio.open(folder / f"{number}.tif", "w", **profile) as file:
            file.write(image)

    class Files:
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, number: int) -> Images:
            with rasterio.open(folder / f"{number}.tif") as file:
                return file.read()

    return partial(_epoch, Files(), shuffle=True)


def of_litdata(root: Path, compression: Compression) -> Work:
    """LitData's own chunks and reader, with its own defaults."""
    os.environ["DATA_OPTIMIZER_CACHE_FOLDER"] = str(root)
    from litdata import StreamingDataset
    from litdata.streaming.writer import BinaryWriter

    folder = _folder(root, f"litdata-{compression}")
    stored = None if compression is Compression.NONE else compression.value
    writer = BinaryWriter(str(folder), chunk_bytes=CHUNK_BYTES, compression=stored)
    for number, image in enumerate(_images(root)):
        writer.add_item(number, {"image": image})
    writer.done()
    writer.merge()
    dataset = StreamingDataset(str(folder), shuffle=True)
    return lambda: _count_stacked(sample["image"] for sample in dataset)


def of_webdataset(root: Path, compression: Compression) -> Work:  # noqa: ARG001
    """A tar of arrays, shuffled in a buffer of 1,000 samples."""
    import webdataset

    path = _folder(root, "webdataset") / "train.tar"
    with webdataset.TarWriter(str(path)) as writer:
        for number, image in enumerate(_images(root)):
            writer.write({"__key__": f"{number:06d}", "image.npy": image})
    dataset = webdataset.WebDataset([str(path)], shardshuffle=False).shuffle(1000).decode()
    return lambda: _count_stacked(sample["image.npy"] for sample in dataset)


def of_zarr(root: Path, compression: Compression) -> Work:
    """An array with a chunk per sample."""
    import zarr

    images = _images(root)
    stored = None if compression is Compression.NONE else zarr.codecs.ZstdCodec(level=3)
    array = zarr.create_array(
        _folder(root, f"zarr-{compression}"),
        shape=images.shape,
        chunks=(1, *images.shape[1:]),
        dtype=images.dtype,
        compressors=stored,
        overwrite=True,
    )
    array[:] = images
    order = np.random.default_rng(0).permutation(len(images))
    return lambda: sum(
        len(array.oindex[np.sort(order[start : start + LENGTH])]) for start in range(0, len(order), LENGTH)
    )


def of_hf(root: Path, compression: Compression) -> Work:  # noqa: ARG001
    """A table of Arrow that is mapped into memory."""
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({"image": datasets.Array3D((12, 32, 32), "uint16")})
    made = datasets.Dataset.from_dict({"image": list(_images(root))}, features=features)
    made.save_to_disk(_folder(root, "hf"))
    dataset = made.with_format("numpy")
    order = np.random.default_rng(0).permutation(len(dataset))
    return lambda: sum(
        len(dataset[order[start : start + LENGTH]]["image"]) for start in range(0, len(order), LENGTH)
    )


def _epoch(dataset: Any, **options: Any) -> int:
    from torch.utils.data import DataLoader

    return sum(len(batch) for batch in DataLoader(dataset, batch_size=LENGTH, **options))


def _count_stacked(images: Any) -> int:
    """Stack images to batches, as a training loop takes them."""
    count, batch = 0, []
    for image in images:
        batch.append(image)
        if len(batch) == LENGTH:
            count += len(np.stack(batch))
            batch = []
    return count + (len(np.stack(batch)) if batch else 0)


def _images(root: Path) -> Images:
    return np.load(root / "images.npy", mmap_mode="r")


def _folder(root: Path, name: str) -> Path:
    """Make an empty folder of this process."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=root))


OURS = "FusedDataset"
LOADERS = (
    *(Loader(OURS, each, of_file) for each in Compression),
    *(
        Loader("GeoTIFFs, DataLoader of PyTorch", each, of_geotiffs, ("torch",), GOAL_GEOTIFF)
        for each in (Compression.NONE, Compression.DEFLATE)
    ),
    Loader("LitData", Compression.NONE, of_litdata, ("litdata",), GOAL_LITDATA),
    Loader("LitData", Compression.ZSTD, of_litdata, ("litdata", "zstd"), GOAL_LITDATA),
    Loader("WebDataset", Compression.NONE, of_webdataset, ("webdataset",)),
    Loader("HF datasets", Compression.NONE, of_hf, ("datasets",)),
    *(Loader("Zarr", each, of_zarr, ("zarr",)) for each in (Compression.NONE, Compression.ZSTD)),
)


if __name__ == "__main__":
    main(benchmark, __doc__)
