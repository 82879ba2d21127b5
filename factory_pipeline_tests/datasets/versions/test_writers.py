"""Versions written by several at once, stopped on the way, or killed."""

import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.versions import create
from factory_pipeline.datasets.versions.create import create_version, sweep_unfinished
from factory_pipeline.datasets.versions.plan import check_version
from factory_pipeline.errors import ArgumentError, RegistryError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.registry.factories import let_leases_run_out
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    box,
    labels_of,
    request,
)

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""


on_both = pytest.mark.parametrize(
    "where", ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)], indirect=True
)


def test_an_error_on_the_way_leaves_nothing(lake: MadeLake, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(create, "write_manifest", full)
    with pytest.raises(OSError, match="No space left"):
        create_version(lake.registry, lake.home, request())
    assert lake.registry.datasets() == []
    assert not list(lake.home.versions.iterdir())


def test_progress_ends_at_all_items(lake: MadeLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory_pipeline.datasets.versions.manifest_rows.CHUNK", 2)
    collection = lake.add("fair", {"a": 1, "b": 2, "c": 3})
    lake.annotate(collection, [box("c", "Balloon")])
    told: list[tuple[int, int]] = []
    version = create_version(
        lake.registry, lake.home, request(), lambda done, count: told.append((done, count))
    )
    assert told == [(2, 3), (3, 3)]
    assert labels_of(lake, version.id) == {"a": [], "b": [], "c": ["Balloon"]}


@on_both
def test_two_writers_of_one_name_make_one_dataset(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])

    def made(_: int) -> str:
        try:
            return create_version(lake.registry, lake.home, request()).number
        except RegistryError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        number, *refused = sorted(pool.map(made, range(3)))
    assert number == "1.0.0"
    assert all("The dataset name 'Balloons' is in use" in each for each in refused)
    assert len(list(lake.home.versions.iterdir())) == 1


def _update(home: Path, where: str, source_id: str) -> str:
    asked = request(dataset_version_id=source_id)
    return create_version(Registry.open(where), FactoryHome(home), asked).number


@pytest.mark.integration
@on_both
def test_updates_in_several_processes_at_once_all_succeed(lake: MadeLake, where: str) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    source = create_version(lake.registry, lake.home, request())
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        numbers = pool.starmap(_update, [(lake.home.root, where, source.id)] * 3)
    assert sorted(numbers) == ["1.0.1", "1.0.2", "1.0.3"]


def _killed_while_writing(home: Path, where: str) -> None:
    def stop(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    create.write_manifest = stop  # type: ignore[assignment]
    create_version(Registry.open(where), FactoryHome(home), request())


@pytest.mark.integration
@on_both
def test_what_a_killed_writer_left_is_swept_once_its_lease_has_run_out(lake: MadeLake, where: str) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    process = multiprocessing.get_context("spawn").Process(
        target=_killed_while_writing, args=(lake.home.root, where)
    )
    process.start()
    process.join()
    [left] = lake.home.versions.iterdir()
    sweep_unfinished(lake.registry, lake.home)
    assert left.exists(), "it may be at work"
    let_leases_run_out(where)
    check_version(lake.registry, lake.home, request())
    version = create_version(lake.registry, lake.home, request())
    with pytest.raises(ArgumentError, match="this name is in use"):
        check_version(lake.registry, lake.home, request())
    assert [folder.name for folder in lake.home.versions.iterdir()] == [version.id]


def test_the_mark_of_a_version_whose_writer_was_killed_when_it_was_ready_goes(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    files = lake.home.version(create_version(lake.registry, lake.home, request()).id)
    files.unfinished.touch()
    sweep_unfinished(lake.registry, lake.home)
    assert not files.unfinished.exists()
    assert files.manifest.exists()


def test_finished_versions_of_another_registry_are_not_swept(lake: MadeLake, tmp_path: Path) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    version = create_version(lake.registry, lake.home, request())
    other = Registry.open(tmp_path / "other.db")
    sweep_unfinished(other, lake.home)
    other.close()
    assert lake.home.version(version.id).manifest.exists()
