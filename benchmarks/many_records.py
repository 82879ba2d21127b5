"""A home with very many records: how long sensors' ticks, pages of the studio and lists of `factory` take.

5,000 batches of a build, 20,000 partitions, 100,000 runs, 10,000 uploads, 1,000 versions of a dataset. The
records are written in bulk through the storages that the factory itself uses; no work was done for them.
"""

import io
import json
import os
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg
from dagster._serdes import serialize_value

from benchmarks.report import Row, main, met, table
from factory_pipeline.builds.gedi.plan_batches import plan_batches
from factory_pipeline.cli.main import main as factory
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.datalake.registry.records import UploadStatus, VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.registry.schema import datasets, uploads, versions
from factory_pipeline.definitions import defs
from factory_pipeline.orchestration.builds.dataset import batch_dataset
from factory_pipeline.orchestration.partitions import BATCHES, DATASETS, RECIPE_BATCHES
from factory_pipeline.runs.instance import open_instance, prepare_home
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.catalog import upload_address
from factory_pipeline_tests.builds.gedi.factories import footprints
from factory_pipeline_tests.datalake.registry.factories import SPEC
from factory_pipeline_tests.web.studio.visitor import Visitor, studio_of_home

BATCH_COUNT, PARTITIONS, RUNS, UPLOADS, VERSIONS = 5_000, 20_000, 100_000, 10_000, 1_000
GOAL_S = 2.0
REPEATS = 3
START = datetime(2026, 1, 1, tzinfo=UTC)
PAGES = {
    "start page": "/",
    "search by name": "/?q=set-7",
    "an upload that failed": upload_address("set-1@00000001"),
    "Data lake": "/lake",
    "Builds": "/builds",
}
LISTS = (
    ("upload", "list"),
    ("upload", "list", "--json"),
    ("dataset", "list"),
    ("dataset", "show", "forests"),
    ("collection", "list"),
)


def benchmark(scale: float) -> list[str]:
    """The table; `scale` changes the numbers of records."""
    with tempfile.TemporaryDirectory() as folder:
        home = FactoryHome(Path(folder) / "home")
        os.environ["FACTORY_HOME"] = str(home.root)
        prepare_home(home)
        fill(home, scale)
        rows = [*_ticks(home), *_pages(home), *_lists()]
    title = (
        f"{round(BATCH_COUNT * scale):,} batches, {round(PARTITIONS * scale):,} partitions,"
        f" {round(RUNS * scale):,} runs, {round(UPLOADS * scale):,} uploads,"
        f" {round(VERSIONS * scale):,} versions of a dataset"
    )
    return [
        table(
            title,
            ("", "first, s", "then, s", "first, CPU s", "then, CPU s", f"goal {GOAL_S:g} s of CPU"),
            rows,
        )
    ]


# Records


def fill(home: FactoryHome, scale: float) -> None:
    """Write the records.

    Args:
        home: a prepared home without records.
        scale: of their numbers.
    """
    batches = round(BATCH_COUNT * scale)
    keys = _plan(home, batches)
    with open_instance(home) as instance:
        instance.add_dynamic_partitions(BATCHES, keys)
        names = [_upload_key(number) for number in range(round(UPLOADS * scale))]
        instance.add_dynamic_partitions(DATASETS, names)
        others = round(PARTITIONS * scale) - len(keys) - len(names)
        instance.add_dynamic_partitions(
            RECIPE_BATCHES, [f"crops:train-{n:05d}-0badcafe" for n in range(others)]
        )
        for key in keys:
            done = dg.AssetMaterialization(batch_dataset.key, partition=key)
            instance.report_runless_asset_event(done)
        _add_runs(home, instance, keys, names, round(RUNS * scale))
    with closing(Registry.open(home.registry)) as registry:
        _register(registry, round(UPLOADS * scale), round(VERSIONS * scale))


def _plan(home: FactoryHome, batches: int) -> list[str]:
    """Write the plan of a build of so many batches, of one footprint each; return their keys."""
    granules = home.root / "granules"
    granules.mkdir()
    settings = BuildSettings(granules=str(granules), output=home.default_output, recipe=Recipe(batch_size=1))
    settings.save(home)
    plan = plan_batches({"train": footprints(batches), "test": footprints(0)}, settings.recipe)
    settings.files.batch_plan.parent.mkdir(parents=True)
    plan.save(settings.files.batch_plan)
    return list(plan.keys)


def _upload_key(number: int) -> str:
    return f"set-{number}@{number:08x}"


def _add_runs(
    home: FactoryHome,
    instance: dg.DagsterInstance,
    keys: Sequence[str],
    names: Sequence[str],
    count: int,
) -> None:
    """Write runs of the jobs that a home has most of, as Dagster writes one, in a transaction."""
    jobs = [
        ("extract_batches", keys),
        ("onboard_dataset", names),
        ("extract_batches", keys),
        ("import_release", ()),
    ]
    [runs_file] = home.dagster.rglob("runs.db")
    templates = {
        job: instance.create_run_for_job(defs.resolve_job_def(job), status=dg.DagsterRunStatus.SUCCESS)
        for job in {job for job, _ in jobs}
    }
    rows, tags = [], []
    for number in range(count):
        job, partitions = jobs[number % len(jobs)]
        run_id, key = str(uuid.UUID(int=number)), partitions[number % len(partitions)] if partitions else None
        given = {"dagster/partition": key} if key else {}
        failed = number % 50 == 0
        status = dg.DagsterRunStatus.FAILURE if failed else dg.DagsterRunStatus.SUCCESS
        run = templates[job]._replace(run_id=run_id, tags=given, status=status)
        at = START + timedelta(minutes=number)
        stamp = at.replace(tzinfo=None).isoformat(" ")
        seconds = at.timestamp()
        times = (stamp, stamp, seconds, seconds + 30)
        body = serialize_value(run)
        rows.append((run_id, run.job_snapshot_id, job, status.value, body, key, *times))
        tags += [(run_id, name, value) for name, value in given.items()]
    columns = "run_id, snapshot_id, pipeline_name, status, run_body, partition"
    columns += ", create_timestamp, update_timestamp, start_time, end_time"
    places = ", ".join("?" * len(rows[0]))
    with closing(sqlite3.connect(runs_file)) as connection, connection:
        connection.executemany(f"INSERT INTO runs ({columns}) VALUES ({places})", rows)
        connection.executemany("INSERT INTO run_tags (run_id, key, value) VALUES (?, ?, ?)", tags)


def _register(registry: Registry, upload_count: int, version_count: int) -> None:
    statuses = [UploadStatus.SUCCEEDED, UploadStatus.FAILED, UploadStatus.SUCCEEDED]
    entries = [
        {
            "key": _upload_key(number),
            "name": f"set-{number}",
            "manifest": json.dumps({"purpose": "Generic", "dataset_name": f"Set {number}"}),
            "status": statuses[number % 3],
            "reason": "No label." if number % 3 == 1 else None,
            "code": "UNPAIRED" if number % 3 == 1 else None,
            "created": START,
            "updated": START + timedelta(minutes=number),
        }
        for number in range(upload_count)
    ]
    dataset = uuid.UUID(int=1).hex
    revisions = [
        {
            "id": uuid.UUID(int=100 + number).hex,
            "dataset_id": dataset,
            "major": 1,
            "minor": number // 50,
            "patch": number % 50,
            "state": VersionState.READY,
            "spec": SPEC,
            "manifest_path": f"versions/{number}.parquet",
            "content_hash": f"{number:064x}",
            "created": START + timedelta(hours=number),
        }
        for number in range(version_count)
    ]
    with registry._change() as connection:
        connection.execute(uploads.insert(), entries)
        connection.execute(datasets.insert(), [{"id": dataset, "name": "forests", "created": START}])
        connection.execute(versions.insert(), revisions)


# Measures


def _ticks(home: FactoryHome) -> Iterator[Row]:
    sensors = defs.get_repository_def().sensor_defs
    with open_instance(home) as instance:
        for sensor in sorted(sensors, key=lambda sensor: sensor.name):
            if isinstance(sensor, dg.AutomationConditionSensorDefinition):
                yield _measured(f"tick of {sensor.name}", _automation_of(instance))
            else:
                yield _measured(f"tick of {sensor.name}", _tick_of(sensor, instance))


def _tick_of(sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> Callable[[], object]:
    """Ticks one after the other, each with the cursor that the one before it left."""
    cursor: list[str | None] = [None]

    def tick() -> None:
        context = dg.build_sensor_context(
            instance=instance,
            cursor=cursor[0],
            sensor_name=sensor.name,
            repository_def=defs.get_repository_def(),
            resources=defs.resources,
        )
        cursor[0] = sensor.evaluate_tick(context).cursor

    return tick


def _automation_of(instance: dg.DagsterInstance) -> Callable[[], object]:
    """The same for what assets themselves say about when they are to be made."""
    cursor: list[Any] = [None]

    def tick() -> None:
        told = dg.evaluate_automation_conditions(defs, instance, cursor=cursor[0])
        cursor[0] = told.cursor

    return tick


def _pages(home: FactoryHome) -> Iterator[Row]:
    studio = studio_of_home(home)
    with closing(studio.registry), Visitor(studio) as visitor:
        for name, path in PAGES.items():
            yield _measured(f"studio: {name}", partial(visitor.page, path))


def _lists() -> Iterator[Row]:
    for arguments in LISTS:

        def run(arguments: Sequence[str] = arguments) -> None:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                factory(arguments)

        yield _measured(f"factory {' '.join(arguments)}", run)


def _measured(name: str, work: Callable[[], object]) -> Row:
    """The first time, and the median of those after it; what CPU they took."""
    seconds, cpu = [], []
    for _ in range(1 + REPEATS):
        began, cpu_began = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - cpu_began)
    met_by = max(cpu[0], median(cpu[1:])) < GOAL_S
    return name, seconds[0], median(seconds[1:]), cpu[0], median(cpu[1:]), met(met_by)


if __name__ == "__main__":
    main(benchmark, __doc__)
