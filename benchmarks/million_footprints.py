"""A build of a million footprints, and of fewer: what a footprint costs, and how much memory a process takes.

The command `factory create-dataset` runs as a user would run it, on granules and rasters that are made here.
A tile of Sentinel-2 has 100,000 footprints in ten acquisitions, so that the batches of every size are as
dense; larger builds have more tiles. Windows are of 8 pixels and bands are three, as the growth of the cost
is asked for, not its height.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import polars as pl

from benchmarks.archive import Acquisition, made_footprints, places, seconds_of, write_imagery
from benchmarks.measure import process_tree, tree_cpu_s
from benchmarks.report import Row, machine, met, table
from factory_pipeline.builds.gedi.batches import BatchPlan
from factory_pipeline.config.recipe import Recipe, Sentinel2
from factory_pipeline.runs.build import EXTRACT, JOBS, PREPARE
from factory_pipeline.runs.instance import open_instance
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.coverage import Sites
from factory_pipeline.synthetic.gedi_layout import BEAMS
from factory_pipeline.synthetic.mgrs import MgrsTile, to_lonlat
from factory_pipeline.synthetic.sentinel2 import ASSET_RESOLUTIONS, SyntheticProduct, Visit

SIZES = (10_000, 100_000, 1_000_000)
TILES = [MgrsTile(32633, column, row) for row in range(54, 44, -2) for column in (3, 5)]
"""No two of them overlap."""
PASSES = 10
"""Acquisitions, and granules, of a tile."""
PER_PASS = 10_000
"""Usable footprints of a granule."""
UNUSABLE_SHARE = 0.25
"""Shots that fail a rule, for each usable one."""
FIRST_PASS = datetime(2020, 1, 5, 10, 10, tzinfo=UTC)
BETWEEN_PASSES = timedelta(days=72)
"""Five passes are of the train split's year, five of the test split's."""
BLOCKS = 4
RECIPE = Recipe(window_size=8, sentinel2=Sentinel2(bands=("B02", "B8A", "B11")))
GOAL = 1.2
"""Cost per footprint, of that of the size before."""
SAMPLE_S = 1.0
STAGES = ("plan", "extraction", "fuse and register")
COMMAND = "from factory_pipeline.cli.main import main; main()"


def benchmark(sizes: Sequence[int]) -> list[str]:
    """The tables of builds of these sizes."""
    builds = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            builds.append(measured_build(Path(folder), size))
        print(table(f"{size:,} footprints", COLUMNS, [builds[-1].row(None)]), flush=True)
    rows = [build.row(builds[number - 1] if number else None) for number, build in enumerate(builds)]
    return [
        table("Builds by `factory create-dataset`", COLUMNS, rows),
        table(
            "By stage: CPU us per footprint, largest memory of a process in MB",
            ("footprints", *(f"{stage}, us" for stage in STAGES), *(f"{stage}, MB" for stage in STAGES)),
            [build.stage_row() for build in builds],
        ),
    ]


COLUMNS = (
    "footprints",
    "samples",
    "batches",
    "CPU s",
    "wall s",
    "peak MB of a process",
    "MB of datasets",
    "CPU us per footprint",
    "times the size before",
    f"goal {GOAL:g} x",
)


@dataclass(frozen=True)
class Build:
    """A build that has ended."""

    footprints: int
    samples: int
    batches: int
    cpu_s: float
    """User and system, of the command and all its processes."""
    seconds: float
    peak_bytes: int
    """Resident memory of the largest process."""
    dataset_bytes: int
    stages: tuple[tuple[float, int], ...]
    """For each of STAGES: CPU seconds, peak bytes of a process."""

    def row(self, smaller: "Build | None") -> Row:
        """Its row, compared with a smaller build."""
        ratio = self.us_per_footprint / smaller.us_per_footprint if smaller else None
        return (
            self.footprints,
            self.samples,
            self.batches,
            self.cpu_s,
            self.seconds,
            self.peak_bytes / 1e6,
            self.dataset_bytes / 1e6,
            self.us_per_footprint,
            ratio,
            met(ratio <= GOAL) if ratio else None,
        )

    def stage_row(self) -> Row:
        """What each stage took."""
        cpu = [1e6 * cpu_s / self.footprints for cpu_s, _ in self.stages]
        return (self.footprints, *cpu, *(peak / 1e6 for _, peak in self.stages))

    @property
    def us_per_footprint(self) -> float:
        """Microseconds of CPU."""
        return 1e6 * self.cpu_s / self.footprints


def measured_build(root: Path, size: int, recipe: Recipe = RECIPE) -> Build:
    """Make an archive of so many usable footprints below `root`, and build it.

    Args:
        root: an empty folder.
        size: footprints.
        recipe: of the build; its windows, Sentinel-2 and size of batches may differ from the defaults.
    """
    write_archive(root / "archive", size, recipe)
    path, home, output = root / "recipe.yaml", FactoryHome(root / "home"), root / "output"
    path.write_text(
        recipe.model_dump_json(include={"window_size", "sentinel2", "batch_size"}), encoding="utf-8"
    )
    home.root.mkdir()
    options = {
        "--input": root / "archive" / "granules",
        "--catalog": root / "archive" / "stac",
        "--recipe": path,
        "--output": output,
    }
    arguments = ["create-dataset", *(str(each) for option in options.items() for each in option)]
    began = time.time()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        env={**os.environ, "FACTORY_HOME": str(home.root)},
        stdout=sys.stderr,
    )
    with ProcessWatch(process.pid) as watch:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"The build of {size:,} footprints failed.")
    seconds = time.time() - began
    files = BuildFiles(output)
    datasets = [path for split in recipe.splits if (path := files.fused(split)).exists()]
    cpu_s = usage.ru_utime + usage.ru_stime
    return Build(
        footprints=size,
        samples=sum(samples_of(path) for path in datasets),
        batches=len(BatchPlan.load(files.batch_plan).keys),
        cpu_s=cpu_s,
        seconds=seconds,
        peak_bytes=usage.ru_maxrss * 1024,
        dataset_bytes=sum(path.stat().st_size for path in datasets),
        stages=tuple(watch.between(*span) for span in stage_spans(home)),
    )


def samples_of(path: Path) -> int:
    """Samples of a dataset file."""
    with h5py.File(path) as file:
        return len(file["data"]["GEDI Shot Number"])


def stage_spans(home: FactoryHome) -> Iterator[tuple[float, float]]:
    """When each of STAGES began and ended, by the runs that Dagster has recorded."""
    with open_instance(home) as instance:
        ends = {
            job: max(
                record.end_time or 0.0
                for record in instance.get_run_records()
                if record.dagster_run.job_name == job
            )
            for job in (JOBS[PREPARE], JOBS[EXTRACT])
        }
    moments = [0.0, ends[JOBS[PREPARE]], ends[JOBS[EXTRACT]], float("inf")]
    yield from pairwise(moments)


# The archive


def write_archive(root: Path, size: int, recipe: Recipe) -> None:
    """Write granules, the rasters that a recipe needs, and a catalog, of so many usable footprints."""
    rng = np.random.default_rng(0)
    acquisitions, lons, lats = [], [], []
    for number, first in enumerate(range(0, size, PER_PASS)):
        tile_number, visit = divmod(number, PASSES)
        if tile_number == len(TILES):
            raise SystemExit(f"{PER_PASS * PASSES * len(TILES):,} footprints are the most.")
        tile, count = TILES[tile_number], min(PER_PASS, size - first)
        passed = FIRST_PASS + visit * BETWEEN_PASSES + timedelta(hours=tile_number)
        x, y = places(tile, count, BLOCKS, rng)
        lon, lat = to_lonlat(tile.epsg, x, y)
        lacks = tuple(asset for asset in ASSET_RESOLUTIONS if asset not in ("SCL", *recipe.sentinel2.bands))
        visited = Visit(2, 5.0, lacks=lacks)
        product = SyntheticProduct(visited, passed + timedelta(days=2), tile, number, None)
        acquisitions.append(Acquisition(product, x, y))
        lons.append(lon)
        lats.append(lat)
        write_granule(
            root / "granules",
            number,
            passed,
            made_footprints(lon, lat, np.full(count, seconds_of(passed))),
            first,
        )
    write_imagery(
        root, acquisitions, (), Sites(np.concatenate(lons), np.concatenate(lats)), os.cpu_count() or 1
    )


def write_granule(folder: Path, number: int, passed: datetime, usable: pl.DataFrame, first: int) -> None:
    """Write a granule with these footprints and others that fail a rule, over eight beams.

    Args:
        folder: of the granules.
        number: of the granule, in its name.
        passed: its time.
        usable: in FOOTPRINT_SCHEMA.
        first: footprints of the granules before it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    others = usable.head(round(usable.height * UNUSABLE_SHARE)).with_columns(
        l4_quality_flag=pl.lit(0, pl.UInt8)
    )
    # Numbers of shots are those of no other granule.
    shots = pl.concat([usable, others]).with_columns(
        shot_number=2 * first + pl.int_range(pl.len(), dtype=pl.Int64) + 84_520_200_300_000_000
    )
    name = f"GEDI04_A_{passed:%Y%j%H%M%S}_O{10_000 + number:05d}_02_T01204_02_002_01_V002.h5"
    with h5py.File(folder / name, "w") as file:
        for place, beam in enumerate(BEAMS):
            group = file.create_group(beam)
            for column in shots.drop("granule", "beam").gather_every(len(BEAMS), place):
                values = column.to_numpy()
                if column.name == "shot_number":
                    values = values.astype(np.uint64)
                group.create_dataset(column.name, data=values, chunks=True, compression="gzip")


# Measures


@dataclass
class ProcessWatch:
    """Looks every second at the CPU and the memory of a process and its children, in a thread."""

    root: int
    moments: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    """Used by all of them since the start."""
    largest: list[int] = field(default_factory=list)
    """Resident bytes of the largest process."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "ProcessWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def between(self, began: float, ended: float) -> tuple[float, int]:
        """CPU seconds used between two moments, and the peak bytes of a process."""
        first, last = bisect_right(self.moments, began), bisect_right(self.moments, ended)
        before = self.cpu_s[first - 1] if first else 0.0
        return self.cpu_s[last - 1] - before, max(self.largest[first:last], default=0)

    def _watch(self) -> None:
        while not self._stop.is_set():
            cpu_s = tree_cpu_s(self.root)
            if self.cpu_s and cpu_s < self.cpu_s[-1]:
                return  # the command has ended
            self.moments.append(time.time())
            self.cpu_s.append(cpu_s)
            self.largest.append(max((resident_bytes(pid) for pid in process_tree(self.root)), default=0))
            self._stop.wait(SAMPLE_S)


def resident_bytes(pid: int) -> int:
    """Memory of a process; 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """The command line: print the tables, and write them into the README if asked to."""
    from benchmarks.__main__ import README, put

    parser = argparse.ArgumentParser(prog="python -m benchmarks.million_footprints", description=__doc__)
    parser.add_argument("--footprints", type=int, nargs="+", default=list(SIZES), help="sizes of the builds")
    parser.add_argument(
        "--readme", action="store_true", help="write the tables into the README of this folder"
    )
    arguments = parser.parse_args()
    tables = "\n\n".join(benchmark(arguments.footprints))
    print(f"{machine()}\n\n{tables}")
    if arguments.readme:
        text = put(README.read_text(encoding="utf-8"), "million_footprints", tables)
        README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
