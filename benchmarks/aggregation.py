"""Aggregation of GEDI granules, against h5py that reads the same columns raw, and a table per beam."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.measure import interleaved, median_run, run_alone
from benchmarks.report import is_installed, main, met, table
from factory_pipeline.builds.gedi.aggregate import aggregate_granules
from factory_pipeline.builds.gedi.granules import list_granules, read_granule
from factory_pipeline.synthetic.gedi_layout import BEAMS

GRANULES = 4
SHOTS = 60_000
"""Per beam, as a granule of a quarter of an orbit over land holds."""
CHUNK = 10_000
REPEATS = 3
THREADS = 2
"""Raw h5py gains nothing by a second one: HDF5 works behind a lock."""
GOAL = 0.8
COLUMNS = (
    "shot_number",
    "delta_time",
    "lat_lowestmode",
    "lon_lowestmode",
    "agbd",
    "agbd_se",
    "l2_quality_flag",
    "l4_quality_flag",
    "surface_flag",
)
READ = "read_granule, the frames in memory"
PIPELINE, RAW = "aggregate_granules, with its Parquet files", "h5py, the columns read and dropped"


def benchmark(scale: float) -> list[str]:
    """The table; `scale` changes the number of shots."""
    shots = max(CHUNK, round(SHOTS * scale))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "granules"
        write_granules(folder, shots)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        preparations: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
            READ: (by_read_granule, (folder,)),
            PIPELINE: (pipeline, (folder,)),
            RAW: (raw, (folder,)),
        }
        if is_installed("pandas"):
            preparations["pandas, a frame per beam, concatenated"] = by_pandas, (folder,)
        preparations["polars, a frame per beam, concatenated"] = by_polars, (folder,)
        works = {name: partial(run_alone, prepare, *args) for name, (prepare, args) in preparations.items()}
        runs = {name: median_run(found) for name, found in interleaved(works, REPEATS).items()}
    total = shots * len(BEAMS) * GRANULES
    rows = []
    for name, run in runs.items():
        ratio = runs[RAW].seconds / run.seconds
        goal = met(ratio >= GOAL) if name in (READ, PIPELINE) else ""
        rows.append((name, total / run.seconds / 1e6, ratio, run.cpu_s, run.peak_bytes / 1e6, goal))
    columns = ("how", "million shots/s", "speed of raw h5py", "CPU s", "peak MB", f"goal {GOAL}")
    title = (
        f"Aggregation in one process, the pipeline in {THREADS} threads: {GRANULES} granules of"
        f" {len(BEAMS)} beams of {shots:,} shots, {size:.0f} MB"
    )
    return [table(title, columns, rows)]


def write_granules(folder: Path, shots: int) -> None:
    """Granules with the columns that are read, chunked and compressed."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(GRANULES):
        name = f"GEDI04_A_2020{160 + number}091007_O0845{number}_02_T01204_02_002_01_V002.h5"
        with h5py.File(folder / name, "w") as file:
            for beam in BEAMS:
                write_beam(file.create_group(beam), shots, rng)


def write_beam(group: h5py.Group, shots: int, rng: np.random.Generator) -> None:
    """One beam; half of its shots have no biomass, as over water and bare ground."""
    along = np.arange(shots)
    forest = rng.random(shots) < 0.5
    agbd = np.where(forest, rng.gamma(2, 60, shots), -9999)
    first_shot = rng.integers(10**16, 10**17)
    columns = {
        "shot_number": (first_shot + along * 100).astype(np.uint64),
        "delta_time": 7.7e7 + along * 0.00826 + rng.normal(0, 1e-6, shots),
        "lat_lowestmode": 51.6 * np.sin(along / shots * 1.5) + rng.normal(0, 1e-6, shots),
        "lon_lowestmode": along / shots * 90 + rng.normal(0, 1e-6, shots),
        "agbd": agbd.astype(np.float32),
        "agbd_se": np.where(forest, agbd / 5, -9999).astype(np.float32),
        "l2_quality_flag": forest.astype(np.uint8),
        "l4_quality_flag": forest.astype(np.uint8),
        "surface_flag": np.ones(shots, np.uint8),
    }
    for name in COLUMNS:
        group.create_dataset(name, data=columns[name], chunks=(CHUNK,), compression="gzip")


def pipeline(folder: Path) -> Callable[[], int]:
    """The pipeline into a store that is empty, in one process."""

    def work() -> int:
        with tempfile.TemporaryDirectory() as store:
            return aggregate_granules(str(folder), Path(store), workers=THREADS).footprints

    return work


def by_read_granule(folder: Path) -> Callable[[], int]:
    """What the pipeline does before it writes."""
    return lambda: sum(read_granule(granule).height for granule in list_granules(str(folder)))


def raw(folder: Path) -> Callable[[], int]:
    """h5py alone: every column of every beam is read, none is kept."""

    def read_beam(group: h5py.Group) -> int:
        columns = [group[name][:] for name in COLUMNS]
        return len(columns[0])

    def work() -> int:
        shots = 0
        for path in sorted(folder.iterdir()):
            with h5py.File(path) as file:
                shots += sum(read_beam(file[beam]) for beam in BEAMS)
        return shots

    return work


def by_pandas(folder: Path) -> Callable[[], int]:
    """What is often written: a pandas frame per beam."""
    import pandas as pd

    def work() -> int:
        frames = []
        for path in sorted(folder.iterdir()):
            with h5py.File(path) as file:
                for beam in BEAMS:
                    frame = pd.DataFrame({name: file[beam][name][:] for name in COLUMNS})
                    frames.append(frame.assign(granule=path.stem, beam=beam))
        return len(pd.concat(frames, ignore_index=True))

    return work


def by_polars(folder: Path) -> Callable[[], int]:
    """The same with polars."""
    import polars as pl

    def work() -> int:
        frames = []
        for path in sorted(folder.iterdir()):
            with h5py.File(path) as file:
                for beam in BEAMS:
                    frame = pl.DataFrame({name: file[beam][name][:] for name in COLUMNS})
                    labels = {"granule": pl.lit(path.stem), "beam": pl.lit(beam)}
                    frames.append(frame.with_columns(**labels))
        return pl.concat(frames).height

    return work


if __name__ == "__main__":
    main(benchmark, __doc__)
