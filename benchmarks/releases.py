"""Releases: how fast they are written and read beside `tar` with the same compressor; memory stays flat."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from benchmarks.measure import Run, interleaved, median_run, run_alone
from benchmarks.report import Row, main, table
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.import_release import import_release
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.tar_gz import TarGzWriter
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.storage.layout import FactoryHome

GIGABYTES = 5.0
SIDE, BANDS = 512, 4
POLYGONS = 20
"""Of each image."""
REPEATS = 3
"""Of the tenth; the whole runs once, as it takes minutes each time."""
KEY, ROOT = "made@00000001", "made-1.0.0"
LABEL = "field"


def benchmark(scale: float) -> list[str]:
    """The table; `scale` changes the size of the release."""
    rows: list[Row] = []
    for gigabytes, repeats in ((GIGABYTES * scale / 10, REPEATS), (GIGABYTES * scale, 1)):
        with tempfile.TemporaryDirectory() as folder:
            rows += compared(Path(folder), gigabytes, repeats)
    columns = ("release", "how", "MB/s", "speed of tar", "CPU s", "peak MB")
    title = f"Releases of images of {SIDE} x {SIDE} x {BANDS} uint16, {POLYGONS} polygons in each"
    return [table(title, columns, rows)]


def compared(root: Path, gigabytes: float, repeats: int) -> list[Row]:
    """A release of one size, read and written by us and by tar."""
    archive, size, count = make_release(root, gigabytes)
    home = FactoryHome(root / "home")
    reads = {
        "tar xz": partial(run_alone, unpacking, archive, root / "by-tar"),
        "import": partial(run_alone, importing, archive, home),
    }
    runs = {name: median_run(measured) for name, measured in interleaved(reads, repeats).items()}
    version = make_version(home, archive)
    writes = {
        "tar cz": partial(run_alone, packing, root / "by-tar", root / "by-tar.tar.gz"),
        "export, read back": partial(run_alone, exporting, home, version, root / "export"),
    }
    runs |= {name: median_run(measured) for name, measured in interleaved(writes, repeats).items()}
    told = f"{size / 1e9:.2f} GB, {count:,} images"
    bases = {"import": runs["tar xz"], "export, read back": runs["tar cz"]}
    return [row(told, name, run, bases.get(name, run), size) for name, run in runs.items()]


def row(told: str, name: str, run: Run, base: Run, size: int) -> Row:
    """A row of the table."""
    return (told, name, size / run.seconds / 1e6, base.seconds / run.seconds, run.cpu_s, run.peak_bytes / 1e6)


def make_release(root: Path, gigabytes: float) -> tuple[Path, int, int]:
    """Write a release; gives the archive, the bytes of its files and the number of images."""
    count = max(4, round(gigabytes * 1e9 / (SIDE * SIDE * BANDS * 2)))
    archive, image, size = root / f"{ROOT}.tar.gz", root / "image.tif", 0
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.linspace(0, 3000, SIDE), np.linspace(0, 3000, SIDE))
    with TarGzWriter(archive) as out:
        for number in range(count):
            values = (smooth + rng.integers(0, 64, (BANDS, SIDE, SIDE))).astype(np.uint16)
            left, top = 300_000 + 6_000 * (number % 100), 6_000_000 - 6_000 * (number // 100)
            profile = {"crs": "EPSG:32633", "transform": from_origin(left, top, 10, 10)}
            with rasterio.open(
                image, "w", driver="GTiff", count=BANDS, width=SIDE, height=SIDE, dtype="uint16", **profile
            ) as file:
                file.write(values)
            out.add(f"{ROOT}/images/{number:06d}.tif", image.read_bytes())
            out.add(f"{ROOT}/labels/{number:06d}.json", label(rng))
            size += image.stat().st_size
    image.unlink()
    return archive, size, count


def label(rng: np.random.Generator) -> bytes:
    """A label file in pixels, without an outline."""
    polygons = []
    for x, y in rng.integers(40, SIDE - 40, (POLYGONS, 2)).tolist():
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        ring = np.round(np.stack([x + 30 * np.cos(angles), y + 30 * np.sin(angles)], axis=1), 3).tolist()
        polygons.append({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    document = {"type": "Feature", "geometry": {}, "properties": {"label": {LABEL: polygons}}}
    return json.dumps(document).encode()


def unpacking(archive: Path, folder: Path) -> Callable[[], None]:
    """`tar xz` of an archive, and a sync."""

    def work() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        subprocess.run(["tar", "xzf", archive, "-C", folder], check=True)
        subprocess.run(["sync", "-f", folder], check=True)

    return work


def packing(folder: Path, archive: Path) -> Callable[[], None]:
    """`tar cz` of a folder, and a sync."""

    def work() -> None:
        subprocess.run(["tar", "czf", archive, "-C", folder, "."], check=True)
        subprocess.run(["sync", archive], check=True)

    return work


def importing(archive: Path, home: FactoryHome) -> Callable[[], None]:
    """Import a release into an empty home."""

    def work() -> None:
        shutil.rmtree(home.root, ignore_errors=True)
        home.root.mkdir()
        with closing(Registry.open(home.registry)) as registry:
            import_release(registry, home, KEY, archive, IntakePolicy())

    return work


def make_version(home: FactoryHome, archive: Path) -> str:
    """A version of all items of the release; gives its id."""
    with closing(Registry.open(home.registry)) as registry:
        collection, _ = import_release(registry, home, KEY, archive, IntakePolicy())
        asked = DatasetRequest.of(
            dataset_name="made",
            collection_id=collection.id,
            split_info={"train": 60, "test": 20, "validation": 20},
            labels=[LABEL],
        )
        return create_version(registry, home, asked).id


def exporting(home: FactoryHome, version_id: str, folder: Path) -> Callable[[], None]:
    """Write a version as a release and read it back."""

    def work() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with (
            closing(Registry.open(home.registry)) as registry,
            open_content(registry, home, version_id) as content,
        ):
            export_version(content, "Release", folder)

    return work


if __name__ == "__main__":
    main(benchmark, __doc__)
