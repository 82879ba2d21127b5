"""Image pairs from a volume: `make_dataset` against cloud-volume pair by pair, and its memory."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from benchmarks import report
from benchmarks.link import ArchiveServer, Link
from benchmarks.measure import Work, median_run, run_alone
from factory_pipeline.volumes.create_spec import create_spec
from factory_pipeline.volumes.pair_dataset import PairSettings, make_dataset
from factory_pipeline.volumes.points import Point
from factory_pipeline.volumes.volume import CACHE_BYTES

SCRIPT = Path(__file__).with_name("cloud_volume_pairs.py")
INTERPRETER = "CLOUD_VOLUME_PYTHON"
"""Variable that names an interpreter which has cloud-volume, such as one of another environment."""
WIDTH, SECTIONS, CHUNK = 2048, 12, 128
POINTS = 40
OFFSETS = (-1, -2, -3)
ONE_BY_ONE = 48
"""Pairs that are read pair by pair."""
GOALS = {30: 10.0, 0: 3.0}
"""By milliseconds of latency: times the speed of cloud-volume."""
GROWTH = (100, 1_000, 10_000)
SMALL_CACHE = 16 << 20
"""Bytes of the cache of chunks while memory is measured: less than the volumes have."""
PARALLEL = 8


def benchmark(scale: float) -> list[str]:
    """Return the tables of speed and of memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_volume(folder / "image", seed=0)
        make_volume(folder / "mask", seed=1)
        return [_speed(folder, scale), _memory(folder, scale)]


def make_volume(folder: Path, seed: int) -> None:
    """Write a volume of noise in chunks of one section; a mask is where it is 250 or more."""
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": {"driver": "file", "path": f"{folder}/"},
        "multiscale_metadata": {"type": "image", "data_type": "uint8", "num_channels": 1},
        "scale_metadata": {
            "size": [WIDTH, WIDTH, SECTIONS],
            "encoding": "raw",
            "chunk_size": [CHUNK, CHUNK, 1],
            "resolution": [4, 4, 40],
        },
    }
    store = ts.open(spec, create=True).result()
    random = np.random.default_rng(seed)
    for z in range(SECTIONS):
        store[:, :, z, 0] = random.integers(0, 255, (WIDTH, WIDTH), np.uint8, endpoint=True)


def spec_of(address: str, size: int, around: int, points: int, seed: int = 0) -> dict[str, Any]:
    """Return a spec: per point the pairs with three offsets and their reverses, which share four sections."""
    random = np.random.default_rng(seed)
    edge = around - size
    low, high = edge // 2, WIDTH - size - edge // 2
    x, y = random.integers(low, high, (2, points)).tolist()
    places = list(map(Point, x, y, random.integers(3, SECTIONS, points).tolist()))
    path = f"{address}/image"
    reference = {"path": path, "src_mip": 0, "dst_mip": 0, "x_size": around, "y_size": around}
    template = {
        "image": {"path": path, "src_mip": 0, "reference": reference},
        "masks": [{"path": f"{address}/mask", "src_mip": 0, "threshold": 250}],
        "max_mip": 0,
        "dst_mip": 0,
        "x_size": size,
        "y_size": size,
        "pairs": [],
    }
    return create_spec(template, places, OFFSETS, permute_pairs=True)


def _speed(folder: Path, scale: float) -> str:
    rows: list[report.Row] = []
    interpreter = cloud_volume_python()
    points = max(2, round(POINTS * scale))
    for milliseconds, goal in GOALS.items():
        with ArchiveServer(folder, Link(milliseconds / 1000)) as server:
            spec = spec_of(server.url, 256, 512, points)
            runs = [run_alone(prepare, spec) for _ in range(3)]
            ours = median_run(runs)
            pairs = len(spec["pairs"])
            before = server.traffic().requests
            run_alone(prepare, spec)
            requests = (server.traffic().requests - before) / pairs
            rate = pairs / ours.seconds
            latency = f"{milliseconds} ms"
            theirs = one_by_one(interpreter, spec, max(6, round(ONE_BY_ONE * scale)))
            times = None if theirs is None else rate / theirs
            verdict = None if times is None else report.met(times >= goal)
            cpu = 1000 * ours.cpu_s / pairs
            rows.append((latency, "make_dataset", rate, times, f"{goal:.0f} x", verdict, requests, cpu))
            if theirs is not None:
                rows.append((latency, "cloud-volume, pair by pair", theirs, 1, None, None, None, None))
    return report.table(
        f"Pairs of 256 x 256 pixels of {points} points, three offsets and their reverses",
        [
            "latency",
            "how",
            "pairs/s",
            "times cloud-volume",
            "goal",
            "",
            "requests per pair",
            "CPU ms per pair",
        ],
        rows,
    )


def _memory(folder: Path, scale: float) -> str:
    rows: list[report.Row] = []
    for pairs in GROWTH:
        points = max(2, round(pairs * scale / (2 * len(OFFSETS))))
        spec = spec_of(str(folder), 64, 128, points)
        run = run_alone(prepare, spec, SMALL_CACHE)
        made = len(spec["pairs"])
        rows.append((made, made / run.seconds, 1000 * run.cpu_s / made, run.peak_bytes / 2**20))
    return report.table(
        "Growth: pairs of 64 x 64 pixels from files",
        ["pairs", "pairs/s", "CPU ms per pair", "peak MB"],
        rows,
    )


def prepare(spec: dict[str, Any], cache_bytes: int = CACHE_BYTES) -> Work:
    """Return what writes the pairs of a spec to a new folder."""

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            settings = PairSettings(parallel=PARALLEL, fill_missing=True, cache_bytes=cache_bytes)
            return make_dataset(spec, Path(folder), settings).pairs

    return work


def cloud_volume_python() -> str | None:
    """Return an interpreter that has cloud-volume; None if there is none."""
    if named := os.environ.get(INTERPRETER):
        return named
    return sys.executable if report.is_installed("cloudvolume") else None


def one_by_one(interpreter: str | None, spec: dict[str, Any], pairs: int) -> float | None:
    """Return how many pairs a second cloud-volume reads pair by pair, of the first ones of a spec."""
    if interpreter is None:
        return None
    some = {**spec, "pairs": spec["pairs"][:pairs]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spec.json")
        path.write_text(json.dumps(some))
        command = [interpreter, str(SCRIPT), str(path), str(Path(folder, "pairs.h5"))]
        ended = subprocess.run(command, check=True, capture_output=True, text=True)
    return len(some["pairs"]) / float(ended.stdout.split()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pairs", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the work; 0.1 is a quick try")
    print("\n\n".join(benchmark(parser.parse_args().scale)))
