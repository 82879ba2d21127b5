"""Onboarding: how fast archives are scanned, checked and made datasets of, and whether memory stays flat."""

import struct
import tempfile
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import rasterio
import yaml

from benchmarks.measure import Run, interleaved, median_run, run_alone
from benchmarks.report import Row, main, table
from factory_pipeline.archives.extract import extract
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.from_upload import collect_upload
from factory_pipeline.datalake.ingest.intake import validate_upload
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.onboarding.checks.file_contents import scan_contents
from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL, Suffixes
from factory_pipeline.onboarding.checks.pixel_tallies import read_tallies, write_tallies
from factory_pipeline.onboarding.checks.prescan import prescan
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.onboarding.products.training_params import training_parameters
from factory_pipeline.onboarding.stages import STAGES
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.onboarding.uploads import geotiff

IMAGES, SIDE, BANDS = 1_600, 256, 6
SMALL_SIZES, SMALL_SIDE, SMALL_BANDS = (100, 1_000, 10_000, 100_000), 16, 3
"""Numbers of images that growth is measured with."""
CORNER, METRES, PER_ROW = (300_000.0, 6_000_000.0), 10.0, 1000
"""Upper left corner of the first image, metres per pixel, images in a row."""
LATENCY_S = 0.03
REPEATS = 3
IMAGE_SUFFIX, LABEL_SUFFIX = "_image.tif", "_mask.tif"
SUFFIXES = Suffixes((IMAGE_SUFFIX,), LABEL_SUFFIX)
TALLIES = "tallies.bin"
COLLECT = "collect"
"""After the stages: the dataset becomes a collection of the data lake."""
MANIFEST: dict[str, Any] = {
    "purpose": "Segmentation",
    "dataset_url": "made.zip",
    "dataset_name": "made",
    "training_data_suffixes": [IMAGE_SUFFIX],
    "label_suffix": LABEL_SUFFIX,
    "label_categories": [
        {"id": 0, "name": "land", "color": "tan"},
        {"id": 1, "name": "water", "color": "blue"},
    ],
}


def benchmark(scale: float) -> list[str]:
    """The tables; `scale` changes the number of images."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # With few large images, what a page costs whatever their number would be most of it.
        count = max(20, round(IMAGES * min(1, 5 * scale)))
        return [speed(root / "speed", count), far(root / "far", count), growth(root / "growth", scale)]


def speed(root: Path, count: int) -> str:
    """Each part of an onboarding by itself, and the whole, beside reading the same files."""
    archive = write_zip(root / "made.zip", made_pairs(count, SIDE, BANDS, seed=0))
    unpacked = root / "unpacked"
    extract(archive, unpacked, IntakePolicy())
    size = sum(path.stat().st_size for path in unpacked.rglob("*.tif")) / 1e6
    works = {
        "rasterio, one file after the other": partial(run_alone, reading, unpacked),
        "pre-scan of the archive": partial(run_alone, scanning, str(archive), root),
        "checks of the pixels, which count values": partial(run_alone, checking, unpacked),
        "statistics of all images, from the counts": partial(run_alone, counting, unpacked),
    }
    runs = {name: median_run(measured) for name, measured in interleaved(works, REPEATS).items()}
    runs["the whole onboarding"] = run_alone(onboarding, archive, root / "home")
    base = next(iter(runs.values()))
    rows: list[Row] = [
        (
            name,
            count / run.seconds,
            base.seconds / run.seconds,
            1e3 * run.cpu_s / count,
            base.cpu_s / run.cpu_s,
            run.peak_bytes / 1e6,
        )
        for name, run in runs.items()
    ]
    columns = (
        "how",
        "images/s",
        "speed of rasterio",
        "CPU ms per image",
        "CPU of rasterio by it",
        "peak MB",
    )
    title = f"Onboarding {count:,} images of {SIDE} x {SIDE} x {BANDS} and their masks, {size:.0f} MB"
    return table(title, columns, rows)


def far(root: Path, count: int) -> str:
    """The pre-scan of an archive behind a link."""
    pairs = dict(made_pairs(count, SIDE, BANDS, seed=1))
    methods = {"members stored": zipfile.ZIP_STORED, "members deflated": zipfile.ZIP_DEFLATED}
    rows: list[Row] = []
    for name, method in methods.items():
        archive = write_zip(root / name.split()[1] / "made.zip", pairs.items(), method)
        with SampleServer(archive.parent, latency_s=LATENCY_S, own_process=True) as server:
            run = run_alone(scanning, f"{server.url}/{archive.name}", root)
            traffic = server.counts()[f"/{archive.name}"]
        archive_bytes = archive.stat().st_size
        share = 100 * traffic.bytes / archive_bytes
        rows.append((name, archive_bytes / 1e6, traffic.bytes / 1e6, share, traffic.requests, run.seconds))
    columns = ("archive", "MB", "MB received", "%", "requests", "s")
    return table(f"Pre-scan of a remote zip of {count:,} images at {1000 * LATENCY_S:.0f} ms", columns, rows)


def growth(root: Path, scale: float) -> str:
    """What an image costs in uploads of growing size."""
    rows: list[Row] = []
    for size in (max(20, round(size * scale)) for size in SMALL_SIZES):
        archive = write_zip(root / str(size) / "made.zip", made_pairs(size, SMALL_SIDE, SMALL_BANDS, seed=2))
        run = run_alone(onboarding, archive, archive.parent / "home")
        seconds: dict[str, float] = run.result
        rows.append((size, *(1e6 * spent / size for spent in seconds.values()), *in_all(run, size)))
    columns = (
        "images",
        *(f"{stage}, us" for stage in (*(stage.name for stage in STAGES), COLLECT)),
        "in all, us",
        "CPU us",
        "peak MB",
    )
    title = f"Growth: cost per image of {SMALL_SIDE} x {SMALL_SIDE} x {SMALL_BANDS} with its mask"
    return table(title, columns, rows)


def in_all(run: Run, images: int) -> tuple[float, float, float]:
    """Microseconds and CPU microseconds per image, and MB."""
    return 1e6 * run.seconds / images, 1e6 * run.cpu_s / images, run.peak_bytes / 1e6


def reading(folder: Path) -> Callable[[], None]:
    """Prepare to read every pixel as a script would."""
    paths = sorted(folder.rglob("*.tif"))

    def work() -> None:
        for path in paths:
            with rasterio.open(path) as image:
                image.read()

    return work


def scanning(address: str, folder: Path) -> Callable[[], None]:
    """Prepare a pre-scan."""
    policy = IntakePolicy(folders=(folder,), private_addresses=True)

    def work() -> None:
        assert prescan(address, SUFFIXES.images, SUFFIXES.label, policy).passed

    return work


def checking(folder: Path) -> Callable[[], None]:
    """Prepare to look at the content of every file, and to store how often each value occurs."""

    def work() -> None:
        with write_tallies(folder.with_name(TALLIES)) as tallies:
            deque(scan_contents(folder, SUFFIXES, IntakePolicy(), tallies=tallies), maxlen=0)

    return work


def counting(folder: Path) -> Callable[[], None]:
    """Prepare the statistics of all images and labels, from what `checking` stored."""
    manifest = UploadManifest.parse(MANIFEST, "made.yaml")
    names = sorted(path.name for path in folder.iterdir())
    stems = [name.removesuffix(IMAGE_SUFFIX) for name in names if name.endswith(IMAGE_SUFFIX)]
    items = pl.DataFrame(
        {
            "stem": stems,
            "images": [[{"modality_tag": IMAGE, "path": f"{stem}{IMAGE_SUFFIX}"}] for stem in stems],
            LABEL: [f"{stem}{LABEL_SUFFIX}" for stem in stems],
        }
    )
    split = items.select("stem", split=pl.lit("train"))
    bands = {IMAGE: [f"Band {index}" for index in range(BANDS)]}
    placed = pl.DataFrame({"path": names}).with_row_index("row")

    def work() -> None:
        tally_of = read_tallies(folder.with_name(TALLIES), placed).of
        classes = manifest.label_categories
        training_parameters(items, split, bands, manifest.purpose, classes, folder, tally_of=tally_of)

    return work


def onboarding(archive: Path, root: Path) -> Callable[[], dict[str, float]]:
    """Prepare a whole onboarding; the work gives the seconds of each stage."""
    made = _received(archive.parent, root)
    registry = Registry.open(made.home.registry)
    steps: dict[str, Callable[[], Any]] = {stage.name: partial(stage.run, made) for stage in STAGES}
    steps[COLLECT] = partial(collect_upload, registry, made.home, made.key)

    def work() -> dict[str, float]:
        ends = [time.perf_counter()]
        for step in steps.values():
            step()
            ends.append(time.perf_counter())
        return {step: end - began for step, (began, end) in zip(steps, pairwise(ends), strict=True)}

    return work


def _received(folder: Path, root: Path) -> Onboarding:
    home, policy = FactoryHome(root), IntakePolicy(folders=(folder,))
    manifest = folder / "made.yaml"
    manifest.write_text(yaml.safe_dump(MANIFEST))
    return Onboarding(validate_upload(manifest, home, policy).key, home, policy)


def write_zip(path: Path, files: Any, method: int = zipfile.ZIP_STORED) -> Path:
    """A zip of names and contents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def made_pairs(count: int, side: int, bands: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Images of noise with their masks, each at a place of its own, by name.

    A first file is written by GDAL; the others are that file with other pixels and another corner, which
    takes no time.
    """
    rng = np.random.default_rng(seed)
    image = _Stamp(side, bands, "uint16")
    mask = _Stamp(side, 1, "uint8")
    for number in range(count):
        yield (
            f"tile_{number:06d}{IMAGE_SUFFIX}",
            image.made(number, rng.integers(1, 4000, side * side * bands, dtype=np.uint16)),
        )
        yield (
            f"tile_{number:06d}{LABEL_SUFFIX}",
            mask.made(number, rng.integers(0, 2, side * side, dtype=np.uint8)),
        )


class _Stamp:
    """An uncompressed GeoTIFF whose pixels and corner are replaced."""

    def __init__(self, side: int, bands: int, dtype: str) -> None:
        ones = np.full((bands, side, side), 1, dtype)
        content, pixels = geotiff(ones, left=CORNER[0], top=CORNER[1], interleave="pixel"), ones.tobytes()
        start = content.index(pixels)
        self._head, self._tail = content[:start], content[start + len(pixels) :]
        self._corner = struct.pack("<2d", *CORNER)
        self._step = 2 * side * METRES

    def made(self, number: int, pixels: np.ndarray) -> bytes:
        """The file with these pixels, at the place of this number: images lie apart, in rows."""
        row, column = divmod(number, PER_ROW)
        corner = struct.pack("<2d", CORNER[0] + column * self._step, CORNER[1] - row * self._step)
        head = self._head.replace(self._corner, corner)
        return head + pixels.tobytes() + self._tail.replace(self._corner, corner)


if __name__ == "__main__":
    main(benchmark, __doc__)
