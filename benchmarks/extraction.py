"""Extraction of windows: the block engine against what else can be done, by density and latency."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import contestants, limit, one_by_one
from benchmarks.archive import Density, make_archive
from benchmarks.link import ArchiveServer, Link, Traffic
from benchmarks.measure import Prepare, Run, interleaved, median_run, run_alone
from benchmarks.report import Row, is_installed, main, met, table

DENSITIES = (Density("dense", 2000, 3), Density("medium", 2000, 14), Density("sparse", 480, 21, products=2))
"""Two batches each."""
LATENCIES_S = (0.03, 0.0)
REPEATS = {0.03: 3, 0.0: 2}
BASELINE = "per footprint, 16 processes"
ENGINE, ENGINE_ALONE = "block engine, 2 processes", "block engine, 1 process"
GOALS = {"dense": 350, "medium": 100, "sparse": 15}
"""How many times the footprints per second of the baseline, at 30 ms."""
GOAL_CPU, GOAL_BYTES = 1.5, 1.1


@dataclass(frozen=True)
class Contestant:
    """A way to read the windows."""

    name: str
    prepare: Prepare
    footprints: int
    """How many of the batch it reads."""
    arguments: Sequence[Any] = ()
    once: bool = False
    """It is run once and with latency only: it takes too long, or is there for comparison."""


@dataclass(frozen=True)
class Measured:
    """A run of a contestant and what it asked of the server."""

    run: Run
    traffic: Traffic
    footprints: int

    @property
    def per_second(self) -> float:
        """Footprints."""
        return self.footprints / self.run.seconds

    @property
    def cpu_ms(self) -> float:
        """Of a footprint."""
        return 1000 * self.run.cpu_s / self.footprints


def benchmark(scale: float) -> list[str]:
    """The tables; `scale` changes the number of footprints."""
    speeds, scenes, limits, goals, waits = [], [], [], [], []
    for density in (replace(it, footprints=max(64, round(it.footprints * scale))) for it in DENSITIES):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            batch = root / "footprints.parquet"
            make_archive(root, density).write_parquet(batch)
            seconds: dict[float, float] = {}
            for latency_s in LATENCIES_S:
                with ArchiveServer(root, Link(latency_s)) as server:
                    found = race(server, _contestants(density, latency_s, scale), batch, REPEATS[latency_s])
                    speeds += speed_rows(density, latency_s, found)
                    seconds[latency_s] = found[ENGINE_ALONE].run.seconds
                    if latency_s:
                        factor = found[ENGINE].per_second / found[BASELINE].per_second
                        goal = GOALS[density.name]
                        goals.append((density.name, f"{goal} x", f"{factor:.3g} x", met(factor >= goal)))
                        scenes += scene_rows(density, server, batch)
                    else:
                        limits.append(limit_row(density, root, server, batch, found[ENGINE_ALONE]))
            waits += wait_rows(density, seconds)
    return [
        table("Extraction", SPEED_COLUMNS, speeds),
        table("Against the baseline at 30 ms", ("density", "goal", "measured", ""), goals),
        table("Waiting in sequence: one process, two batches", WAIT_COLUMNS, waits),
        table("Scene classification only, at 30 ms", SPEED_COLUMNS, scenes),
        table("The limit: each block received and inflated once, at 0 ms", LIMIT_COLUMNS, limits),
    ]


SPEED_COLUMNS = (
    "density",
    "latency",
    "reader",
    "footprints/s",
    "times the baseline",
    "CPU ms per footprint",
    "requests per footprint",
    "MB per footprint",
    "peak MB",
)
WAIT_COLUMNS = ("density", "latency", "s", "s without latency", "answers waited for in sequence")
LIMIT_COLUMNS = (
    "density",
    "unique blocks",
    "MB",
    "inflate, CPU s",
    "receive, CPU s",
    "receive by bare socket, CPU s",
    "engine, CPU s",
    "engine / (inflate + receive)",
    f"CPU goal {GOAL_CPU}",
    "engine's bytes / unique",
    f"bytes goal {GOAL_BYTES}",
)


def _contestants(density: Density, latency_s: float, scale: float) -> list[Contestant]:
    few = max(32, round(64 * scale))
    entered = [
        Contestant(ENGINE, contestants.block_engine_in_processes, density.footprints),
        Contestant(ENGINE_ALONE, contestants.block_engine, density.footprints),
        Contestant(BASELINE, one_by_one.pool_of_processes, few, (few,)),
    ]
    if latency_s:
        grouped = Contestant(
            "grouped by file, rasterio", contestants.grouped_rasterio, density.footprints, once=True
        )
        entered.append(grouped)
        if is_installed("odc.stac"):
            from benchmarks.cluster_load import load_clusters

            name = "odc-stac by cluster (Sentinel-2 only)"
            entered.append(Contestant(name, load_clusters, density.footprints, once=True))
    return entered


def race(
    server: ArchiveServer, entered: Sequence[Contestant], batch: Path, repeats: int
) -> dict[str, Measured]:
    """The medians of each contestant, with all of them in turns."""
    traffic: dict[str, Traffic] = {}

    def run(contestant: Contestant) -> Run:
        before: list[Traffic] = []
        measured = run_alone(
            contestant.prepare,
            server.stac_url,
            batch,
            *contestant.arguments,
            on_start=lambda: before.append(server.traffic()),
        )
        after = server.traffic()
        traffic[contestant.name] = Traffic(after.requests - before[0].requests, after.bytes - before[0].bytes)
        return measured

    runs = {
        **interleaved({it.name: partial(run, it) for it in entered if not it.once}, repeats),
        **interleaved({it.name: partial(run, it) for it in entered if it.once}, 1),
    }
    return {it.name: Measured(median_run(runs[it.name]), traffic[it.name], it.footprints) for it in entered}


def speed_rows(density: Density, latency_s: float, found: Mapping[str, Measured]) -> list[Row]:
    """A row per contestant."""
    base = found.get(BASELINE)
    return [
        (
            f"{density.name} ({density.per_block:.2g} per block)",
            f"{1000 * latency_s:.0f} ms",
            name,
            it.per_second,
            it.per_second / base.per_second if base else None,
            it.cpu_ms,
            it.traffic.requests / it.footprints,
            it.traffic.bytes / 1e6 / it.footprints,
            it.run.peak_bytes / 1e6,
        )
        for name, it in found.items()
    ]


def wait_rows(density: Density, seconds: Mapping[float, float]) -> list[Row]:
    """How many latencies, one after the other, a run took longer than without any."""
    base = seconds[0.0]
    return [
        (density.name, f"{1000 * latency_s:.0f} ms", with_it, base, (with_it - base) / latency_s)
        for latency_s, with_it in seconds.items()
        if latency_s
    ]


def scene_rows(density: Density, server: ArchiveServer, batch: Path) -> list[Row]:
    """The engine against async-geotiff on the layer that both read; nothing where that isn't installed."""
    if not is_installed("async_geotiff"):
        return []
    from benchmarks.scenes import scenes_by_async_geotiff, scenes_by_engine

    entered = [
        Contestant(ENGINE_ALONE, scenes_by_engine, density.footprints),
        Contestant("async-geotiff", scenes_by_async_geotiff, density.footprints),
    ]
    return speed_rows(density, server.link.latency_s, race(server, entered, batch, 1))


def limit_row(density: Density, root: Path, server: ArchiveServer, batch: Path, engine: Measured) -> Row:
    """How far the engine is from the least CPU and the fewest bytes."""
    reads = run_alone(contestants.reads_of_engine, server.stac_url, batch).result
    blocks = limit.unique_blocks(root, reads)
    parts = interleaved(
        {
            "inflate": partial(run_alone, limit.inflate, root, blocks),
            "receive": partial(run_alone, limit.receive, server.url, blocks),
            "socket": partial(run_alone, limit.receive_by_socket, server.url, blocks),
        },
        2,
    )
    cpu = {name: median_run(runs).cpu_s for name, runs in parts.items()}
    size = sum(block.size for block in blocks)
    ratio = engine.run.cpu_s / (cpu["inflate"] + cpu["receive"])
    more = engine.traffic.bytes / size
    return (
        density.name,
        len(blocks),
        size / 1e6,
        cpu["inflate"],
        cpu["receive"],
        cpu["socket"],
        engine.run.cpu_s,
        ratio,
        met(ratio <= GOAL_CPU),
        more,
        met(more <= GOAL_BYTES),
    )


if __name__ == "__main__":
    main(benchmark, __doc__)
